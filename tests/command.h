/* Shell commands of tests that compile what the library writes. */
#ifndef MN_TESTS_COMMAND_H
#define MN_TESTS_COMMAND_H

#include "test.h"

#include "base/buffer.h"

/* Runs a shell command in `folder`; returns its output, stderr included, that the caller frees. */
MN_PRINTF(3, 4)
static inline char *command_run(const char *folder, int *ret_code, const char *format, ...)
{
    char command[2048];
    va_list args;
    int length = snprintf(command, sizeof command, "cd %s && { ", folder);
    va_start(args, format);
    length += vsnprintf(command + length, sizeof command - (size_t)length, format, args);
    va_end(args);
    snprintf(command + length, sizeof command - (size_t)length, "; } 2>&1");
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    mn_buffer out;
    mn_buffer_init(&out);
    char chunk[4096];
    for (size_t got = fread(chunk, 1, sizeof chunk, pipe); got > 0;
         got = fread(chunk, 1, sizeof chunk, pipe))
        mn_buffer_append(&out, chunk, got);
    *ret_code = pclose(pipe);
    char *text = NULL;
    assert_int_equal(mn_buffer_take(&out, &text, NULL), MN_OK);
    return text;
}

/* The same for a command that must succeed in silence. */
#define command_run_silent(folder, ...)                                                            \
    do {                                                                                           \
        int code_ = 0;                                                                             \
        char *text_ = command_run(folder, &code_, __VA_ARGS__);                                    \
        if (code_ != 0 || text_[0] != '\0')                                                        \
            fail_msg("exit %d: %s", code_, text_);                                                 \
        free(text_);                                                                               \
    } while (0)

#endif
