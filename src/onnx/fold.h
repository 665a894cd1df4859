/*
 * Computing small constants: what the rules of fold_rules.c work on, and the table of fold.c.
 */
#ifndef MN_ONNX_FOLD_H
#define MN_ONNX_FOLD_H

#include "onnx/import.h"

/* One node: inputs with known numbers, and where the result goes. */
typedef struct mn__onnx_folding {
    const mn__onnx_call *call;
    const double *in[MN__ONNX_SMALL]; /* NULL where an input is left out */
    const mn__onnx_type *out_type;    /* as the op's rule says it */
    double *out;                      /* (count) */
    size_t count;
} mn__onnx_folding;

/* The input's type; the input is there. */
const mn__onnx_type *mn__onnx_folded_type(const mn__onnx_folding *f, uint32_t input);

/* The element of `from` that is spread over element `index` of `to`, by numpy's rule. */
size_t mn__onnx_spread(const mn__onnx_type *from, const mn__onnx_type *to, size_t index);

/* Each fills f->out; false: this case is not computed. */
bool mn__onnx_fold_concat(mn__onnx_folding *f);
bool mn__onnx_fold_constant_of_shape(mn__onnx_folding *f);
bool mn__onnx_fold_expand(mn__onnx_folding *f);
bool mn__onnx_fold_gather(mn__onnx_folding *f);
bool mn__onnx_fold_range(mn__onnx_folding *f);
bool mn__onnx_fold_shape(mn__onnx_folding *f);
bool mn__onnx_fold_size(mn__onnx_folding *f);
bool mn__onnx_fold_slice(mn__onnx_folding *f);
bool mn__onnx_fold_transpose(mn__onnx_folding *f);
bool mn__onnx_fold_where(mn__onnx_folding *f);

#endif
