/*
 * Computes small constants: the arithmetic on shapes that exporters leave in a model (the sizes of
 * a view, of an interpolation, of a shuffle of channels). Numbers are doubles; results of float ops
 * are rounded to float, those of integer ops are integers. Constants of more than MN__ONNX_SMALL
 * elements are not computed.
 */
#include <math.h>
#include <string.h>

#include "onnx/fold.h"
#include "onnx/ops.h"

/* False: this case is not computed. */
typedef bool (*fold_rule)(mn__onnx_folding *f);

typedef struct fold_row {
    const char *name;
    fold_rule rule;
    double (*unary)(double);
    double (*binary)(double, double);
    bool reads_types_only; /* the inputs' numbers need not be known */
} fold_row;

/* ---- arithmetic ---------------------------------------------------------------------------- */

static double add(double a, double b)
{
    return a + b;
}
static double subtract(double a, double b)
{
    return a - b;
}
static double multiply(double a, double b)
{
    return a * b;
}
static double divide(double a, double b)
{
    return a / b;
}
static double least(double a, double b)
{
    return a < b ? a : b;
}
static double greatest(double a, double b)
{
    return a > b ? a : b;
}
/* The sign of the divisor, as for integers. */
static double modulo(double a, double b)
{
    return a - floor(a / b) * b;
}
static double equal(double a, double b)
{
    return a == b;
}
static double less(double a, double b)
{
    return a < b;
}
static double greater(double a, double b)
{
    return a > b;
}
static double less_or_equal(double a, double b)
{
    return a <= b;
}
static double greater_or_equal(double a, double b)
{
    return a >= b;
}
static double both(double a, double b)
{
    return a != 0.0 && b != 0.0;
}
static double either(double a, double b)
{
    return a != 0.0 || b != 0.0;
}
static double negate(double a)
{
    return -a;
}
static double invert(double a)
{
    return a == 0.0;
}
static double itself(double a)
{
    return a;
}

static bool fold_binary(mn__onnx_folding *f, double (*op)(double, double))
{
    if (f->call->input_count != 2 || f->in[0] == NULL || f->in[1] == NULL)
        return false;
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = op(f->in[0][mn__onnx_spread(mn__onnx_folded_type(f, 0), f->out_type, i)],
                       f->in[1][mn__onnx_spread(mn__onnx_folded_type(f, 1), f->out_type, i)]);
    return true;
}

/* As many elements as the input has: all copies and functions of one number. */
static bool fold_unary(mn__onnx_folding *f, double (*op)(double))
{
    if (f->in[0] == NULL || f->count != mn__onnx_elements(mn__onnx_folded_type(f, 0)))
        return false;
    for (size_t i = 0; i < f->count; i++)
        f->out[i] = op(f->in[0][i]);
    return true;
}

/* Over all elements only. */
static bool fold_reduce(mn__onnx_folding *f, double start, double (*op)(double, double))
{
    if (f->count != 1)
        return false;
    f->out[0] = start;
    for (size_t i = 0; i < mn__onnx_elements(mn__onnx_folded_type(f, 0)); i++)
        f->out[0] = op(f->out[0], f->in[0][i]);
    return true;
}

static bool fold_product(mn__onnx_folding *f)
{
    return fold_reduce(f, 1.0, multiply);
}

static bool fold_sum(mn__onnx_folding *f)
{
    return fold_reduce(f, 0.0, add);
}

/* ---- the table ----------------------------------------------------------------------------- */

static const fold_row table[] = {
    {"Abs", .unary = fabs},
    {"Add", .binary = add},
    {"And", .binary = both},
    {"Cast", .unary = itself},
    {"Ceil", .unary = ceil},
    {"Concat", .rule = mn__onnx_fold_concat},
    {"ConstantOfShape", .rule = mn__onnx_fold_constant_of_shape},
    {"Div", .binary = divide},
    {"Dropout", .unary = itself},
    {"Equal", .binary = equal},
    {"Expand", .rule = mn__onnx_fold_expand},
    {"Flatten", .unary = itself},
    {"Floor", .unary = floor},
    {"Gather", .rule = mn__onnx_fold_gather},
    {"Greater", .binary = greater},
    {"GreaterOrEqual", .binary = greater_or_equal},
    {"Identity", .unary = itself},
    {"Less", .binary = less},
    {"LessOrEqual", .binary = less_or_equal},
    {"Max", .binary = greatest},
    {"Min", .binary = least},
    {"Mod", .binary = modulo},
    {"Mul", .binary = multiply},
    {"Neg", .unary = negate},
    {"Not", .unary = invert},
    {"Or", .binary = either},
    {"Pow", .binary = pow},
    {"Range", .rule = mn__onnx_fold_range},
    {"ReduceProd", .rule = fold_product},
    {"ReduceSum", .rule = fold_sum},
    {"Reshape", .unary = itself},
    {"Round", .unary = nearbyint},
    {"Shape", .rule = mn__onnx_fold_shape, .reads_types_only = true},
    {"Size", .rule = mn__onnx_fold_size, .reads_types_only = true},
    {"Slice", .rule = mn__onnx_fold_slice},
    {"Sqrt", .unary = sqrt},
    {"Squeeze", .unary = itself},
    {"Sub", .binary = subtract},
    {"Transpose", .rule = mn__onnx_fold_transpose},
    {"Unsqueeze", .unary = itself},
    {"Where", .rule = mn__onnx_fold_where},
};

static const fold_row *find_row(const mn__onnx_call *call)
{
    const char *name = call->op->name;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* Numbers of all inputs; false when one is not known. */
static mn_status find_numbers(mn__onnx_folding *f, bool *ret_known, mn_error *err)
{
    mn_status status = MN_OK;
    *ret_known = f->call->input_count <= MN__ONNX_SMALL;
    for (uint32_t i = 0; i < f->call->input_count && status == MN_OK && *ret_known; i++) {
        size_t count = 0;
        status = mn__onnx_input_numbers(f->call, i, &f->in[i], &count, err);
        *ret_known = f->in[i] != NULL || (i > 0 && mn__onnx_input(f->call, i) == NULL);
    }
    return status;
}

/* Results as numbers of the output's type. */
static void round_numbers(mn__onnx_folding *f)
{
    int32_t element = f->out_type->element;
    for (size_t i = 0; i < f->count; i++) {
        if (element == MN__ONNX_BOOL)
            f->out[i] = f->out[i] != 0.0;
        else if (mn__onnx_is_integer(element))
            f->out[i] = trunc(f->out[i]);
        else if (element == MN__ONNX_FLOAT)
            f->out[i] = (double)(float)f->out[i];
    }
}

mn_status mn__onnx_fold(mn__onnx_call *call, bool *ret_folded, mn_error *err)
{
    const fold_row *row = find_row(call);
    mn__onnx_folding f = {.call = call, .out_type = &call->types[0]};
    bool known = true;
    *ret_folded = false;
    f.count = mn__onnx_elements(f.out_type);
    if (row == NULL || !call->is_inferred || f.count > MN__ONNX_SMALL || call->input_count == 0)
        return MN_OK;
    mn_status status = row->reads_types_only ? MN_OK : find_numbers(&f, &known, err);
    if (status != MN_OK || !known)
        return status;
    f.out = mn__onnx_calloc(call->import->memory, f.count, sizeof *f.out);
    if (f.out == NULL)
        return mn__onnx_memory_error(call->import->memory, err);
    bool done = row->unary != NULL    ? fold_unary(&f, row->unary)
                : row->binary != NULL ? fold_binary(&f, row->binary)
                                      : row->rule(&f);
    if (!done)
        return call->import->memory->failed ? mn__onnx_memory_error(call->import->memory, err)
                                            : MN_OK;
    round_numbers(&f);
    bool moves_nothing =
        call->op->emit == mn__onnx_emit_reshape || call->op->emit == mn__onnx_emit_rename;
    if (moves_nothing)
        mn__onnx_share_constant(call);
    else
        mn__onnx_set_constant(&call->import->values, call->outputs[0], f.out_type, NULL);
    call->import->values.items[call->outputs[0]].numbers = f.out;
    *ret_folded = true;
    return MN_OK;
}
