/* Fuzzes CIFAR-10 records: what passes the check must unpack within bounds, to labels in range. */
#include <stdlib.h>

#include "data/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint32_t records = 0;
    mn_error err;
    if (mn__cifar_check("fuzz", bytes, count, &records, &err) != MN_OK)
        return 0;
    uint8_t *pixels = calloc(records, MN__CIFAR_PIXELS);
    uint16_t *labels = calloc(records, sizeof *labels);
    if (pixels != NULL && labels != NULL) {
        mn__cifar_unpack(bytes, records, pixels, labels);
        for (uint32_t i = 0; i < records; i++)
            if (labels[i] >= MN__CIFAR_CLASSES)
                abort();
    }
    free(labels);
    free(pixels);
    return 0;
}
