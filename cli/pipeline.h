/*
 * From a file to a network: what `memory`, `eval` and `export` have in common.
 *
 *     file -> genotype (and model) -> graph (and its tensors) -> deployed graph -> plan
 *     ONNX file ------------------> graph ------------------> deployed graph -> plan (sizes only)
 */
#ifndef MN_CLI_PIPELINE_H
#define MN_CLI_PIPELINE_H

#include "memnet/genotype.h"
#include "memnet/graph.h"
#include "memnet/model.h"
#include "memnet/plan.h"
#include "memnet/quant.h"
#include "memnet/tensors.h"

/* All pointers but `path` are owned. Starts as {0}; may be given to _done() at any time. */
typedef struct mn__pipeline {
    const char *path;
    mn_genotype genotype;
    bool is_imported;    /* from an ONNX file: no genotype, no model, no tensors */
    mn_model *model;     /* NULL when the file was an architecture */
    mn_graph *graph;     /* batch norms unfolded */
    mn_tensors *tensors; /* in graph order; NULL without a float32 model */
    mn_graph *deployed;  /* after mn_deploy() */
    mn_tensors *folded;  /* of `deployed`; NULL without a float32 model */
    mn_quant *quant;     /* of `deployed`; NULL without an int8 model, unless made later */
    mn_plan *plan;       /* of `deployed` */
} mn__pipeline;

/* Reads an architecture, a model or an ONNX file, told apart by the file's name (.json,
 * .safetensors, .onnx) or else by its first bytes, as far as graph and tensors. `path` is borrowed.
 * Messages name the path. */
mn_status mn__pipeline_load(const char *path, mn__pipeline *pipeline, mn_error *err);

/* As mn__pipeline_load(); an architecture without weights is MN_ERR_ARG. */
mn_status mn__pipeline_load_model(const char *path, mn__pipeline *pipeline, mn_error *err);

/* What --precision asks for; -1, no such option: the model's, and int8, as a search counts, for an
 * architecture without weights. */
mn_precision mn__pipeline_precision(const mn__pipeline *pipeline, int asked);

/* MN_ERR_ARG for float32 of an int8 model. */
mn_status
mn__pipeline_check_precision(const mn__pipeline *pipeline, mn_precision precision, mn_error *err);

/* Fills deployed and folded, and quant of an int8 model, which has no float32: all that an export
 * without a plan needs. */
mn_status mn__pipeline_deploy(mn__pipeline *pipeline, mn_precision precision, mn_error *err);

/* The same, and plan. */
mn_status mn__pipeline_plan(mn__pipeline *pipeline, mn_precision precision, mn_error *err);

/* What the sizes of a planned network stand for: its precision, or "as in the file". */
const char *mn__pipeline_sizes_text(const mn__pipeline *pipeline);

void mn__pipeline_done(mn__pipeline *pipeline);

/* Whether a file can be made at `path` later, so that a command fails before hours of work. */
mn_status mn__output_check(const char *path, mn_error *err);

/* Processors that this process may use, 1 to `most`. */
uint32_t mn__processors(uint32_t most);

#endif
