/*
 * Status strings and error messages. Lowest room of the house; invariant: a message is always
 * NUL-terminated and always one line.
 */
#include "memnet/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *mn_status_string(mn_status status)
{
    switch (status) {
#define MN__STATUS_CASE(name, text)                                                                \
    case name:                                                                                     \
        return text;
        MN_STATUS_LIST(MN__STATUS_CASE)
#undef MN__STATUS_CASE
    }
    return "unknown status";
}

static void one_line(char *message)
{
    for (char *p = message; *p != '\0'; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte < 0x20 || byte == 0x7f)
            *p = '?';
    }
}

mn_status mn_error_set(mn_error *err, mn_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    one_line(err->message);
    err->status = status;
    return status;
}

mn_status mn_error_prefix(mn_error *err, mn_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    char rest[MN_ERROR_MESSAGE_BYTES];
    memcpy(rest, err->message, sizeof rest);
    va_list args;
    va_start(args, format);
    int written = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (written >= 0 && (size_t)written < sizeof err->message)
        snprintf(err->message + written, sizeof err->message - (size_t)written, ": %s", rest);
    one_line(err->message);
    err->status = status;
    return status;
}
