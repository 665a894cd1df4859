/*
 * Fuzz target: any bytes as a model file. They are refused with one line, or they are a model that
 * can be written and read back with every field equal. Safetensors without memnet's keys are
 * parsed, written and read back on the way, too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "graph/model.h"
#include "graph/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void require_equal_tensors(const mn_tensors *a, const mn_tensors *b)
{
    require(a->count == b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const mn_tensor *x = &a->items[i];
        const mn_tensor *y = &b->items[i];
        require(strcmp(x->name, y->name) == 0 && x->dtype == y->dtype && x->rank == y->rank);
        require(memcmp(x->dims, y->dims, sizeof x->dims) == 0);
        size_t data_bytes = mn_tensor_elements(x) * mn_dtype_bytes(x->dtype);
        require(memcmp(x->data, y->data, data_bytes) == 0);
    }
}

static void require_equal_models(const mn_model *a, const mn_model *b)
{
    require(strcmp(a->architecture, b->architecture) == 0);
    require(memcmp(&a->preprocessing, &b->preprocessing, sizeof a->preprocessing) == 0);
    require(a->class_count == b->class_count);
    for (uint32_t i = 0; i < a->class_count; i++)
        require(strcmp(a->class_names[i], b->class_names[i]) == 0);
    require(a->split_seed == b->split_seed);
    require(memcmp(&a->split_fraction, &b->split_fraction, sizeof a->split_fraction) == 0);
    require(strcmp(a->data_hash, b->data_hash) == 0);
    require(a->is_int8 == b->is_int8);
    require_equal_tensors(a->tensors, b->tensors);
}

static void check_message(mn_status status, const mn_error *err)
{
    require(status == err->status && err->message[0] != '\0');
    require(strchr(err->message, '\n') == NULL);
}

static void try_safetensors(const uint8_t *bytes, size_t count)
{
    mn_tensors *tensors = NULL;
    mn_tensors *back = NULL;
    mn_metadata metadata;
    mn_metadata back_metadata;
    char *written = NULL;
    size_t written_count = 0;
    mn_error err = {MN_OK, ""};
    mn_status status = mn_safetensors_parse("input", bytes, count, &tensors, &metadata, &err);
    if (status != MN_OK) {
        check_message(status, &err);
        return;
    }
    require(mn_safetensors_serialise(tensors, &metadata, &written, &written_count, NULL) == MN_OK);
    require(mn_safetensors_parse("copy", written, written_count, &back, &back_metadata, NULL) ==
            MN_OK);
    require_equal_tensors(tensors, back);
    require(metadata.count == back_metadata.count);
    for (uint32_t i = 0; i < metadata.count; i++) {
        require(strcmp(metadata.keys[i], back_metadata.keys[i]) == 0);
        require(strcmp(metadata.values[i], back_metadata.values[i]) == 0);
    }
    free(written);
    mn_metadata_done(&back_metadata);
    mn_metadata_done(&metadata);
    mn_tensors_free(back);
    mn_tensors_free(tensors);
}

static void try_model(const uint8_t *bytes, size_t count)
{
    mn_model *model = NULL;
    mn_model *back = NULL;
    char *written = NULL;
    size_t written_count = 0;
    mn_error err = {MN_OK, ""};
    mn_status status = mn_model_parse("input", bytes, count, &model, &err);
    if (status != MN_OK) {
        check_message(status, &err);
        return;
    }
    require(mn_model_serialise(model, &written, &written_count, NULL) == MN_OK);
    require(mn_model_parse("copy", written, written_count, &back, NULL) == MN_OK);
    require_equal_models(model, back);
    free(written);
    mn_model_free(back);
    mn_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    try_safetensors(bytes, count);
    try_model(bytes, count);
    return 0;
}
