/*
 * Whether text is UTF-8, which is all that JSON holds.
 */
#ifndef MN_BASE_UTF8_H
#define MN_BASE_UTF8_H

#include <stdbool.h>

/* True when the text is well-formed UTF-8 (Unicode 15, table 3-7). */
bool mn_text_is_utf8(const char *text);

#endif
