/*
 * The choice of embedded files. Headers are found by what includes them: a new one needs no entry
 * in any list.
 */
#include "emit/c_files.h"

#include <stdio.h>
#include <string.h>

/* Only files of kernels are named like this. */
static const char kernel_prefix[] = "mn_";

enum { LINE_BYTES = 80 }; /* of an include, all names are much shorter */

static bool is_chosen(const char *name, mn_precision precision, uint32_t kernels)
{
    if (strncmp(name, kernel_prefix, strlen(kernel_prefix)) != 0)
        return true;
    for (int k = 0; k < MN__KERNEL_COUNT; k++)
        if ((kernels >> k & 1u) != 0 &&
            strcmp(mn__kernel_file((mn__kernel)k, precision), name) == 0)
            return true;
    return false;
}

static bool includes(const mn__embedded *file, const char *name)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "#include \"%s\"", name);
    return memmem(file->bytes, file->count, line, strlen(line)) != NULL;
}

static bool is_included(const char *name, const bool *used)
{
    for (size_t i = 0; i < mn__embedded_count; i++)
        if (used[i] && includes(&mn__embedded_files[i], name))
            return true;
    return false;
}

void mn__files_in_use(mn_precision precision, uint32_t kernels, bool *ret_used)
{
    for (size_t i = 0; i < mn__embedded_count; i++)
        ret_used[i] = is_chosen(mn__embedded_files[i].name, precision, kernels);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < mn__embedded_count; i++)
            if (!ret_used[i] && is_included(mn__embedded_files[i].name, ret_used))
                ret_used[i] = more = true;
    }
}
