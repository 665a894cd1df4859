/* What every unit test includes: cmocka in the order that it wants, and a check of mn_status that
 * prints the message. */
#ifndef MN_TEST_H
#define MN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memnet/status.h"

/* Fails the test with the error's message unless `call`, which fills `err`, returns MN_OK. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        (err)->message[0] = '\0';                                                                  \
        if ((call) != MN_OK)                                                                       \
            fail_msg("%s: %s", #call, (err)->message);                                             \
    } while (0)

/* Fails unless `call` returns `status` and its message contains `text`. */
#define assert_error(call, expected, err, text)                                                    \
    do {                                                                                           \
        (err)->message[0] = '\0';                                                                  \
        mn_status actual_ = (call);                                                                \
        if (actual_ != (expected) || strstr((err)->message, (text)) == NULL)                       \
            fail_msg("%s: status %d, expected %d; message '%s', expected '%s'",                    \
                     #call,                                                                        \
                     (int)actual_,                                                                 \
                     (int)(expected),                                                              \
                     (err)->message,                                                               \
                     (text));                                                                      \
    } while (0)

#endif
