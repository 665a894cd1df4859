/**
 * The model file: one .safetensors file with the tensors of a network and, in its metadata, all
 * that is needed to use them. Batch norms are unfolded.
 */
#ifndef MEMNET_MODEL_H
#define MEMNET_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "memnet/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MN_MODEL_FORMAT 1

/** network input = (pixel - mean) * scale, one pair for all channels. */
typedef struct mn_preprocessing {
    float mean;  /**< An integer for uint8 images. */
    float scale; /**< > 0 and finite. */
} mn_preprocessing;

typedef struct mn_model {
    char *architecture; /**< Genotype JSON (memnet/genotype.h); owned, never NULL. */
    mn_preprocessing preprocessing;
    uint32_t class_count;
    char **class_names;    /**< class_count owned strings. */
    uint64_t split_seed;   /**< Seed of the validation split. */
    double split_fraction; /**< Share of the training images that validates; [0, 1). */
    char data_hash[17];    /**< 16 hex digits: fingerprint of the data set; "" when unknown. */
    mn_tensors *tensors;   /**< Owned; every list of named tensors. */
    bool is_int8;          /**< The tensors are those of mn_quant_to_tensors(). */
} mn_model;

/** NULL is fine. Frees everything the model owns and the model. */
MN_API void mn_model_free(mn_model *model);

/** Writes atomically: the old file stays until the new one is complete. */
MN_API mn_status mn_model_save(const mn_model *model, const char *path, mn_error *err);

/**
 * Reads a model file. Nothing in it is trusted: sizes, offsets and types are checked.
 * @retval MN_ERR_FORMAT  Not a safetensors file, or a memnet key is missing or malformed.
 */
MN_API mn_status mn_model_load(const char *path, mn_model **ret_model, mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
