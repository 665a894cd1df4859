/*
 * Pieces of C source. Invariant: whatever a model file contains, the text that leaves here is one
 * token or one harmless piece of a comment.
 */
#include "emit/c_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void mn__c_float(float value, char ret_text[MN__C_FLOAT_BYTES])
{
    /* 9 significant digits tell all floats apart. */
    int length = snprintf(ret_text, MN__C_FLOAT_BYTES, "%.9g", (double)value);
    char *comma = strchr(ret_text, ','); /* the host program may have set a locale */
    if (comma != NULL)
        *comma = '.';
    bool whole = strpbrk(ret_text, ".e") == NULL;
    snprintf(ret_text + length, MN__C_FLOAT_BYTES - (size_t)length, "%s", whole ? ".0f" : "f");
}

void mn__c_name(mn_buffer *out, const char *name)
{
    bool gap = false;
    for (size_t i = 0, written = 0; name[i] != '\0' && written < 48; i++) {
        if (!is_alphanumeric(name[i])) {
            gap = written > 0;
            continue;
        }
        mn_buffer_printf(out, "%s%c", gap ? "_" : "", name[i]);
        written += gap ? 2 : 1;
        gap = false;
    }
}

void mn__c_comment(mn_buffer *out, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        bool plain = is_alphanumeric(text[i]) || strchr(" ._-:+,()", text[i]) != NULL;
        mn_buffer_append(out, plain ? &text[i] : "?", 1);
    }
}

void mn__c_string(mn_buffer *out, const char *text)
{
    mn_buffer_append(out, "\"", 1);
    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)text[i];
        /* '?' is escaped for the sake of trigraphs; three octal digits never run into the next. */
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '?')
            mn_buffer_printf(out, "\\%03o", byte);
        else
            mn_buffer_append(out, &text[i], 1);
    }
    mn_buffer_append(out, "\"", 1);
}
