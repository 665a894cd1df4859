/*
 * Matrix products. With a constant matrix over one vector per image they are the graph's
 * fully_connected; any other product is opaque.
 */
#include <string.h>

#include "base/size.h"
#include "onnx/ops.h"

/* Which inputs are the second matrix and the bias. */
typedef struct dense_inputs {
    uint32_t matrix, bias;
} dense_inputs;

static dense_inputs inputs_of(const mn__onnx_call *call)
{
    const char *op = call->node->op_type;
    if (strcmp(op, "QLinearMatMul") == 0)
        return (dense_inputs){3, MN_NONE};
    if (strcmp(op, "QGemm") == 0)
        return (dense_inputs){3, 6};
    if (strcmp(op, "Gemm") == 0 || strcmp(op, "FusedGemm") == 0)
        return (dense_inputs){1, 2};
    return (dense_inputs){1, MN_NONE};
}

static bool is_gemm(const mn__onnx_call *call)
{
    return strstr(call->node->op_type, "Gemm") != NULL;
}

static mn_status sides_differ(uint32_t a, uint32_t b, mn_error *err)
{
    return mn_error_set(
        err, MN_ERR_FORMAT, "a product of rows of %u and columns of %u numbers", a, b);
}

static mn_status infer_gemm(mn__onnx_call *call, mn_error *err)
{
    const mn__onnx_type *a = &mn__onnx_input(call, 0)->type;
    const mn__onnx_type *b = &mn__onnx_input(call, inputs_of(call).matrix)->type;
    uint32_t trans_a = mn__onnx_int(call->node, "transA", 0) != 0;
    uint32_t trans_b = mn__onnx_int(call->node, "transB", 0) != 0;
    if (a->rank != 2 || b->rank != 2)
        return mn_error_set(
            err, MN_ERR_FORMAT, "matrices of %u and %u dimensions, expected 2", a->rank, b->rank);
    if (a->dims[1 - trans_a] != b->dims[trans_b])
        return sides_differ(a->dims[1 - trans_a], b->dims[trans_b], err);
    call->types[0].rank = 0;
    mn_status status = mn__onnx_push(&call->types[0], a->dims[trans_a], err);
    if (status == MN_OK)
        status = mn__onnx_push(&call->types[0], b->dims[1 - trans_b], err);
    return status;
}

/* numpy's matmul: a vector is a row on the left and a column on the right. */
static mn_status infer_mat_mul(mn__onnx_call *call, mn_error *err)
{
    mn__onnx_type a = mn__onnx_input(call, 0)->type;
    mn__onnx_type b = mn__onnx_input(call, inputs_of(call).matrix)->type;
    if (a.rank == 0 || b.rank == 0)
        return mn_error_set(err, MN_ERR_FORMAT, "a product of numbers, expected matrices");
    bool row = a.rank == 1;
    bool column = b.rank == 1;
    uint32_t k = a.dims[a.rank - 1];
    uint32_t rows = row ? 1 : a.dims[a.rank - 2];
    uint32_t columns = column ? 1 : b.dims[b.rank - 1];
    if (k != b.dims[column ? 0 : b.rank - 2])
        return sides_differ(k, b.dims[column ? 0 : b.rank - 2], err);
    a.rank = row ? 0 : a.rank - 2;
    b.rank = column ? 0 : b.rank - 2;
    mn_status status = mn__onnx_broadcast(&a, &b, err);
    if (status == MN_OK && !row)
        status = mn__onnx_push(&a, rows, err);
    if (status == MN_OK && !column)
        status = mn__onnx_push(&a, columns, err);
    a.element = call->types[0].element;
    if (status == MN_OK)
        call->types[0] = a;
    return status;
}

/* Whether every row of the product reads all images: it sums over the dimension they are in. */
static bool reads_across_images(mn__onnx_call *call)
{
    const mn__onnx_value *a = mn__onnx_input(call, 0);
    const mn__onnx_value *b = mn__onnx_input(call, inputs_of(call).matrix);
    if (b->state == MN__ONNX_ACTIVATION && b->type.rank <= 2)
        return true;
    return is_gemm(call) && a->state == MN__ONNX_ACTIVATION &&
           mn__onnx_int(call->node, "transA", 0) != 0;
}

mn_status mn__onnx_infer_dense(mn__onnx_call *call, mn_error *err)
{
    mn_status status = mn__onnx_need_inputs(call, inputs_of(call).matrix + 1, err);
    if (status == MN_OK && reads_across_images(call))
        status = mn__onnx_refuse_batch(call->import, err);
    if (status != MN_OK)
        return status;
    const char *op = call->node->op_type;
    if (strcmp(op, "MatMulInteger") == 0)
        call->types[0].element = MN__ONNX_INT32;
    if (strcmp(op, "QGemm") == 0 && mn__onnx_input(call, 8) == NULL)
        call->types[0].element = MN__ONNX_FLOAT; /* no zero point of the output */
    return is_gemm(call) ? infer_gemm(call, err) : infer_mat_mul(call, err);
}

mn_status mn__onnx_emit_dense(mn__onnx_call *call, mn_error *err)
{
    dense_inputs at = inputs_of(call);
    mn__onnx_value *x = mn__onnx_input(call, 0);
    const mn__onnx_value *matrix = mn__onnx_input(call, at.matrix);
    const mn__onnx_value *bias = at.bias == MN_NONE ? NULL : mn__onnx_input(call, at.bias);
    bool trans_a = is_gemm(call) && mn__onnx_int(call->node, "transA", 0) != 0;
    bool trans_b = is_gemm(call) && mn__onnx_int(call->node, "transB", 0) != 0;
    if (x->state != MN__ONNX_ACTIVATION || matrix->state != MN__ONNX_CONSTANT ||
        matrix->type.rank != 2 || (bias != NULL && bias->state != MN__ONNX_CONSTANT) || trans_a ||
        !mn__onnx_is_per_image(call->import, &x->type) ||
        mn__onnx_product(&x->type, 1, x->type.rank) != matrix->type.dims[trans_b ? 1 : 0])
        return mn__onnx_add_opaque(call, err);
    uint32_t outputs = matrix->type.dims[trans_b ? 0 : 1];
    size_t numbers = mn__onnx_elements(&matrix->type) + (bias == NULL ? 0 : outputs);
    mn_node_spec spec = {
        .prim = MN_PRIM_FULLY_CONNECTED,
        .channels = outputs,
        .bias = bias != NULL,
        .constant_bytes =
            mn__onnx_stated_bytes(mn__onnx_take_constants(call), numbers * sizeof(float)),
    };
    return mn__onnx_add(call, 0, &spec, &x, 1, err);
}
