/*
 * Pieces of C source: numbers that read back exactly, and names from model files made harmless.
 */
#ifndef MN_EMIT_C_TEXT_H
#define MN_EMIT_C_TEXT_H

#include "base/buffer.h"

#define MN__C_FLOAT_BYTES 24u

/* Writes a finite float as a C literal that every compiler reads back to the same float:
 * "0.5f", "-1.0f", "1.17549435e-38f". */
void mn__c_float(float value, char ret_text[MN__C_FLOAT_BYTES]);

/* Appends `name` as the rest of an identifier: letters and digits stay, every run of anything else
 * becomes one '_'. The caller's prefix makes it unique; at most 48 characters are used. */
void mn__c_name(mn_buffer *out, const char *name);

/* Appends `text` for use inside a comment: what could end it or break the line becomes '?'. */
void mn__c_comment(mn_buffer *out, const char *text);

/* Appends `text` as a C string literal with its quotes; other bytes than plain ASCII are escaped.
 */
void mn__c_string(mn_buffer *out, const char *text);

#endif
