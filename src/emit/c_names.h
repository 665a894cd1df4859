/*
 * Names of an export: with a name of its own, several networks fit into one program.
 */
#ifndef MN_EMIT_C_NAMES_H
#define MN_EMIT_C_NAMES_H

#include "base/buffer.h"
#include "memnet/status.h"

enum { MN__C_NAME_MAX = 32, MN__C_FILE_BYTES = MN__C_NAME_MAX + 16 };

/* MN_ERR_ARG unless `name` is a lower-case letter, then such letters, digits and '_', at most
 * MN__C_NAME_MAX of them, and no file of the kernels, the example or the C library has it. NULL,
 * the default name, is fine. Functions of ours that do not begin with memnet_ end otherwise than
 * those that do, so that no name makes them meet. */
mn_status mn__c_name_check(const char *name, mn_error *err);

/* Appends a text of ours with the names of `name`: identifiers that begin with memnet_ begin with
 * NAME_, those with MODEL_ with the same in capitals, and the files model.* and model_labels.* are
 * NAME.*. String literals of C stay as they are, apart from those of #include. NULL: a copy. */
void mn__c_rename(const char *name, const char *text, size_t count, mn_buffer *out);

/* The same for the name of a file. */
void mn__c_file_name(const char *name, const char *file, char ret_name[MN__C_FILE_BYTES]);

#endif
