/*
 * Rules that compute small constants by moving numbers about: pieces, shapes, repeats. The op's
 * rule has checked the types before, so that every index lies inside.
 */
#include "onnx/fold.h"
#include "onnx/ops.h"
#include "onnx/slices.h"

const mn__onnx_type *mn__onnx_folded_type(const mn__onnx_folding *f, uint32_t input)
{
    return &mn__onnx_input(f->call, input)->type;
}

/* ---- places -------------------------------------------------------------------------------- */

/* Coordinates of element `index`, rows last. */
static void unravel(const mn__onnx_type *type, size_t index, size_t at[MN__ONNX_RANK])
{
    for (uint32_t d = type->rank; d-- > 0;) {
        at[d] = index % type->dims[d];
        index /= type->dims[d];
    }
}

static size_t ravel(const mn__onnx_type *type, const size_t at[MN__ONNX_RANK])
{
    size_t index = 0;
    for (uint32_t d = 0; d < type->rank; d++)
        index = index * type->dims[d] + at[d];
    return index;
}

size_t mn__onnx_spread(const mn__onnx_type *from, const mn__onnx_type *to, size_t index)
{
    size_t at[MN__ONNX_RANK] = {0};
    size_t own[MN__ONNX_RANK] = {0};
    unravel(to, index, at);
    for (uint32_t d = 0; d < from->rank; d++)
        own[d] = from->dims[d] == 1 ? 0 : at[to->rank - from->rank + d];
    return ravel(from, own);
}

bool mn__onnx_fold_where(mn__onnx_folding *f)
{
    for (size_t i = 0; i < f->count; i++) {
        uint32_t from =
            f->in[0][mn__onnx_spread(mn__onnx_folded_type(f, 0), f->out_type, i)] != 0.0 ? 1 : 2;
        f->out[i] = f->in[from][mn__onnx_spread(mn__onnx_folded_type(f, from), f->out_type, i)];
    }
    return true;
}

/* ---- shapes -------------------------------------------------------------------------------- */

bool mn__onnx_fold_shape(mn__onnx_folding *f)
{
    uint32_t from = 0;
    uint32_t to = 0;
    mn__onnx_shape_part(f->call, &from, &to);
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = (double)mn__onnx_folded_type(f, 0)->dims[from + i];
    return true;
}

bool mn__onnx_fold_size(mn__onnx_folding *f)
{
    f->out[0] = (double)mn__onnx_elements(mn__onnx_folded_type(f, 0));
    return true;
}

/* A tensor of one number, zero by default. */
bool mn__onnx_fold_constant_of_shape(mn__onnx_folding *f)
{
    const Onnx__AttributeProto *a = mn__onnx_attribute(f->call->node, "value");
    double number = 0.0;
    if (a != NULL && a->t != NULL) {
        mn__onnx_value room = {0};
        mn__onnx_values one = {.items = &room, .count = 1};
        const double *numbers = NULL;
        if (mn__onnx_set_tensor(&one, 0, a->t, NULL) != MN_OK ||
            mn__onnx_elements(&room.type) != 1 ||
            mn__onnx_numbers(f->call->import->memory, &room, &numbers, NULL) != MN_OK ||
            numbers == NULL)
            return false;
        number = numbers[0];
    }
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = number;
    return true;
}

bool mn__onnx_fold_range(mn__onnx_folding *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = f->in[0][0] + (double)i * f->in[2][0];
    return true;
}

bool mn__onnx_fold_expand(mn__onnx_folding *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = f->in[0][mn__onnx_spread(mn__onnx_folded_type(f, 0), f->out_type, i)];
    return true;
}

/* ---- pieces -------------------------------------------------------------------------------- */

bool mn__onnx_fold_concat(mn__onnx_folding *f)
{
    uint32_t axis = 0;
    size_t at[MN__ONNX_RANK] = {0};
    if (mn__onnx_axis(mn__onnx_int(f->call->node, "axis", 1), f->out_type->rank, &axis, NULL) !=
        MN_OK)
        return false;
    for (size_t i = 0; i < f->count; i++) {
        uint32_t from = 0;
        unravel(f->out_type, i, at);
        while (at[axis] >= mn__onnx_folded_type(f, from)->dims[axis])
            at[axis] -= mn__onnx_folded_type(f, from++)->dims[axis];
        f->out[i] = f->in[from][ravel(mn__onnx_folded_type(f, from), at)];
    }
    return true;
}

bool mn__onnx_fold_gather(mn__onnx_folding *f)
{
    uint32_t axis = 0;
    const mn__onnx_type *x = mn__onnx_folded_type(f, 0);
    if (mn__onnx_axis(mn__onnx_int(f->call->node, "axis", 0), x->rank, &axis, NULL) != MN_OK)
        return false;
    size_t inner = mn__onnx_product(x, axis + 1, x->rank);
    size_t indices = mn__onnx_elements(mn__onnx_folded_type(f, 1));
    for (size_t i = 0; i < f->count; i++) {
        double index = f->in[1][i / inner % indices];
        index += index < 0.0 ? (double)x->dims[axis] : 0.0;
        if (!(index >= 0.0 && index < (double)x->dims[axis]))
            return false;
        size_t outer = i / (inner * indices);
        f->out[i] = f->in[0][(outer * x->dims[axis] + (size_t)index) * inner + i % inner];
    }
    return true;
}

bool mn__onnx_fold_slice(mn__onnx_folding *f)
{
    mn__onnx_slices slices = {0};
    if (mn__onnx_read_slices(f->call, &slices, NULL) != MN_OK || !slices.is_known)
        return false;
    for (size_t i = 0; i < f->count; i++) {
        size_t at[MN__ONNX_RANK] = {0};
        unravel(f->out_type, i, at);
        for (uint32_t d = 0; d < f->out_type->rank; d++)
            at[d] = (size_t)(slices.start[d] + (int64_t)at[d] * slices.step[d]);
        f->out[i] = f->in[0][ravel(mn__onnx_folded_type(f, 0), at)];
    }
    return true;
}

bool mn__onnx_fold_transpose(mn__onnx_folding *f)
{
    uint32_t perm[MN__ONNX_RANK] = {0};
    if (mn__onnx_read_permutation(f->call, perm, NULL) != MN_OK)
        return false;
    for (size_t i = 0; i < f->count; i++) {
        size_t at[MN__ONNX_RANK] = {0};
        size_t own[MN__ONNX_RANK] = {0};
        unravel(f->out_type, i, at);
        for (uint32_t d = 0; d < f->out_type->rank; d++)
            own[perm[d]] = at[d];
        f->out[i] = f->in[0][ravel(mn__onnx_folded_type(f, 0), own)];
    }
    return true;
}
