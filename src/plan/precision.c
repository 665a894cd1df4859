/*
 * Names of the precisions: what the command line, reports and messages call them.
 */
#include <string.h>

#include "memnet/plan.h"

const char *mn_precision_name(mn_precision precision)
{
    switch (precision) {
    case MN_PRECISION_FLOAT32:
        return "float32";
    case MN_PRECISION_INT8:
        return "int8";
    }
    return "unknown";
}

mn_status mn_precision_parse(const char *text, mn_precision *ret_precision, mn_error *err)
{
    static const mn_precision all[] = {MN_PRECISION_FLOAT32, MN_PRECISION_INT8};
    for (size_t i = 0; text != NULL && i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(text, mn_precision_name(all[i])) == 0) {
            *ret_precision = all[i];
            return MN_OK;
        }
    }
    return mn_error_set(
        err, MN_ERR_ARG, "precision '%s': expected float32 or int8", text == NULL ? "" : text);
}
