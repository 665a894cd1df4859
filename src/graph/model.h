/*
 * The inside of model files: a model as bytes and as metadata. Everybody else saves and loads
 * through memnet/model.h; the trainer's checkpoints take the metadata and add keys and tensors of
 * their own, so that a checkpoint is a model file, too.
 */
#ifndef MN_GRAPH_MODEL_H
#define MN_GRAPH_MODEL_H

#include <stddef.h>

#include "graph/metadata.h"
#include "memnet/model.h"

/*
 * Adds the keys of a model file, all but the tensors, to `metadata`: format_version, architecture,
 * preprocessing, class_names, split, data_hash. MN_ERR_ARG for a model that breaks the contract of
 * memnet/model.h; some keys may have been added then.
 */
mn_status mn_model_describe(const mn_model *model, mn_metadata *metadata, mn_error *err);

/* The bytes of the model file, which the caller frees. */
mn_status
mn_model_serialise(const mn_model *model, char **ret_bytes, size_t *ret_count, mn_error *err);

/* mn_model_load() of bytes that are in memory; `where` opens every message. */
mn_status mn_model_parse(
    const char *where, const void *bytes, size_t count, mn_model **ret_model, mn_error *err);

#endif
