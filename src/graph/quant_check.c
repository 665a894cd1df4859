/*
 * The one judge of whether a quantised network can be run. Conversion, model files and fine-tuning
 * all hand their numbers through here.
 *
 * Invariant: what passes the check cannot make an int8 kernel overflow a sum, shift by a width that
 * C leaves open, or read a value on a grid that is not its own, whatever plan the network runs in.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "kernels/mn_s8.h"
#include "memnet/quant.h"

/* Of mn_s8.h. */
enum { LOW = -128, HIGH = 127, WEIGHT_MOST = 127, SHIFT_MOST = 62, ADD_SHIFT_MOST = 31 };
static const int32_t least_multiplier = 1 << 30;
static const int32_t least_add = 1 << 21;
static const int32_t most_add = 1 << 22;

/* Of pools that sum. */
static const uint64_t most_pixels = UINT64_C(1) << 22;

typedef struct checker {
    const mn_graph *graph;
    const mn_quant *quant;
    mn_error *err;
} checker;

static mn_status
wrong(const checker *c, uint32_t n, const char *what, int64_t actual, const char *expected)
{
    return mn_error_set(c->err,
                        MN_ERR_FORMAT,
                        "node '%s': %s %" PRId64 ", expected %s",
                        mn_graph_node(c->graph, n)->name,
                        what,
                        actual,
                        expected);
}

static mn_status check_value(const checker *c, uint32_t n)
{
    const mn_quant_value *value = &c->quant->values[n];
    if (!isfinite(value->scale) || value->scale <= 0)
        return mn_error_set(c->err,
                            MN_ERR_FORMAT,
                            "node '%s': scale %g, expected a finite number above 0",
                            mn_graph_node(c->graph, n)->name,
                            (double)value->scale);
    if (value->zero_point < LOW || value->zero_point > HIGH)
        return wrong(c, n, "zero point", value->zero_point, "-128 to 127");
    return MN_OK;
}

/* Who has which members, and whether the primitive has a kernel at all. */
static mn_status check_members(const checker *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    const mn_quant_node *q = &c->quant->nodes[n];
    bool weighs = node->prim == MN_PRIM_CONV || node->prim == MN_PRIM_FULLY_CONNECTED;
    if (node->prim == MN_PRIM_BATCH_NORM || node->prim == MN_PRIM_IDENTITY ||
        node->prim == MN_PRIM_FAKE_QUANT || node->prim >= MN_PRIM_OPAQUE ||
        node->element_bytes != 0 || node->constant_bytes != 0)
        return mn_error_set(c->err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': %s has no int8 kernel",
                            node->name,
                            mn_prim_name(node->prim));
    if ((q->weights != NULL) != weighs || (q->bias != NULL) != weighs ||
        (q->multiplier != NULL) != weighs || (q->shift != NULL) != weighs ||
        (q->weight_scale != NULL) != weighs)
        return mn_error_set(c->err,
                            MN_ERR_MISMATCH,
                            "node '%s': %s",
                            node->name,
                            weighs ? "has no tables of weights, expected them"
                                   : "has tables of weights, expected none");
    return MN_OK;
}

/* Concats and reshapes may have no step, so nobody would clamp. */
static mn_status check_clamp(const checker *c, uint32_t n)
{
    const mn_quant_node *q = &c->quant->nodes[n];
    mn_prim prim = mn_graph_node(c->graph, n)->prim;
    bool is_moved = prim == MN_PRIM_CONCAT || prim == MN_PRIM_RESHAPE;
    if (prim == MN_PRIM_INPUT)
        return MN_OK;
    if (q->low < LOW || q->low > HIGH || (is_moved && q->low != LOW))
        return wrong(c, n, "lower end", q->low, is_moved ? "-128" : "-128 to 127");
    if (q->high < q->low || q->high > HIGH || (is_moved && q->high != HIGH))
        return wrong(c, n, "upper end", q->high, is_moved ? "127" : "the lower end to 127");
    return MN_OK;
}

static mn_status check_factor(const checker *c, uint32_t n, int32_t multiplier, int32_t shift)
{
    if (multiplier != 0 && multiplier < least_multiplier)
        return wrong(c, n, "multiplier", multiplier, "0, or 2^30 and more");
    if (shift < 1 || shift > SHIFT_MOST)
        return wrong(c, n, "shift", shift, "1 to 62");
    return MN_OK;
}

/* Output o of a convolution or fully connected layer. */
static mn_status check_output(const checker *c, uint32_t n, mn_quant_sizes sizes, uint32_t o)
{
    const mn_quant_node *q = &c->quant->nodes[n];
    for (size_t k = 0; k < sizes.filter; k++)
        if (q->weights[o * sizes.filter + k] < -WEIGHT_MOST) /* in whatever order */
            return wrong(c, n, "weight", INT8_MIN, "-127 to 127");
    if (q->bias[o] < -MN_S8_BIAS || q->bias[o] > MN_S8_BIAS)
        return wrong(c, n, "bias", q->bias[o], "at most 2^30 - 1 in magnitude");
    if (!isfinite(q->weight_scale[o]) || q->weight_scale[o] <= 0)
        return mn_error_set(c->err,
                            MN_ERR_FORMAT,
                            "node '%s': output %u: weight scale %g, expected a finite number "
                            "above 0",
                            mn_graph_node(c->graph, n)->name,
                            o,
                            (double)q->weight_scale[o]);
    return check_factor(c, n, q->multiplier[o], q->shift[o]);
}

static mn_status check_weights(const checker *c, uint32_t n)
{
    mn_quant_sizes sizes = mn_quant_sizes_of(c->graph, n);
    mn_status status = MN_OK;
    for (uint32_t o = 0; o < sizes.outputs && status == MN_OK; o++)
        status = check_output(c, n, sizes, o);
    return status;
}

static mn_status check_add(const checker *c, uint32_t n)
{
    const mn_quant_node *q = &c->quant->nodes[n];
    int32_t larger = q->add_a > q->add_b ? q->add_a : q->add_b;
    if (q->add_a < 0 || q->add_b < 0 || larger > most_add || (larger > 0 && larger < least_add))
        return wrong(c,
                     n,
                     q->add_a > q->add_b ? "factor a" : "factor b",
                     q->add_a > q->add_b ? q->add_a : q->add_b,
                     "none below 0 or above 2^22, the larger 0 or at least 2^21");
    if (q->add_shift < 1 || q->add_shift > ADD_SHIFT_MOST)
        return wrong(c, n, "shift", q->add_shift, "1 to 31");
    return MN_OK;
}

/* Of pools: they sum what the whole image or a window holds. */
static mn_status check_pixels(const mn_node *node, mn_shape in, mn_error *err)
{
    uint64_t pixels = (uint64_t)in.h * in.w;
    if (pixels <= most_pixels)
        return MN_OK;
    return mn_error_set(err,
                        MN_ERR_UNSUPPORTED,
                        "node '%s': a mean over an image of %" PRIu64 " pixels, int8 kernels "
                        "sum at most 2^22",
                        node->name,
                        pixels);
}

mn_status mn_quant_check_sums(const mn_graph *deployed, uint32_t node, mn_error *err)
{
    const mn_node *of = mn_graph_node(deployed, node);
    size_t terms = mn_quant_sizes_of(deployed, node).filter;
    if (terms > MN_S8_TERMS)
        return mn_error_set(err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': sums of %zu products, int8 kernels sum at most %d",
                            of->name,
                            terms,
                            MN_S8_TERMS);
    if (of->prim == MN_PRIM_GLOBAL_POOL || of->prim == MN_PRIM_AVG_POOL)
        return check_pixels(of, mn_graph_node(deployed, of->inputs[0])->shape, err);
    return MN_OK;
}

/* A concat's parts that are copied from another grid; all others share its class. */
static mn_status check_copies(const checker *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    for (uint32_t i = 0; node->prim == MN_PRIM_CONCAT && i < node->input_count; i++) {
        bool same = false;
        int32_t multiplier = 0;
        int32_t shift = 0;
        mn_status status = mn_quant_copy_factor(&c->quant->values[node->inputs[i]],
                                                &c->quant->values[n],
                                                &same,
                                                &multiplier,
                                                &shift,
                                                c->err);
        if (status != MN_OK)
            return mn_error_prefix(c->err, status, "node '%s': part %u", node->name, i);
    }
    return MN_OK;
}

static mn_status check_classes(const checker *c)
{
    uint32_t *classes = mn_calloc(c->quant->node_count, sizeof *classes);
    mn_status status = MN_OK;
    if (classes == NULL)
        return mn_error_set(c->err, MN_ERR_NOMEM, "out of memory");
    mn_quant_classes(c->graph, classes);
    for (uint32_t n = 0; n < c->quant->node_count && status == MN_OK; n++) {
        const mn_quant_value *value = &c->quant->values[n];
        const mn_quant_value *first = &c->quant->values[classes[n]];
        if (value->scale != first->scale || value->zero_point != first->zero_point)
            status =
                mn_error_set(c->err,
                             MN_ERR_MISMATCH,
                             "node '%s': grid %g, %" PRId32 ", expected %g, %" PRId32 " as of '%s'",
                             mn_graph_node(c->graph, n)->name,
                             (double)value->scale,
                             value->zero_point,
                             (double)first->scale,
                             first->zero_point,
                             mn_graph_node(c->graph, classes[n])->name);
    }
    free(classes);
    return status;
}

static mn_status check_node(const checker *c, uint32_t n)
{
    const mn_quant_node *q = &c->quant->nodes[n];
    mn_prim prim = mn_graph_node(c->graph, n)->prim;
    mn_status status = check_members(c, n);
    if (status == MN_OK)
        status = check_value(c, n);
    if (status == MN_OK)
        status = check_clamp(c, n);
    if (status == MN_OK)
        status = mn_quant_check_sums(c->graph, n, c->err);
    if (status == MN_OK && q->weights != NULL)
        status = check_weights(c, n);
    if (status == MN_OK && prim == MN_PRIM_ADD)
        status = check_add(c, n);
    if (status == MN_OK && prim == MN_PRIM_GLOBAL_POOL)
        status = check_factor(c, n, q->factor, q->factor_shift);
    return status;
}

mn_status mn_quant_check(const mn_graph *deployed, const mn_quant *quant, mn_error *err)
{
    checker c = {.graph = deployed, .quant = quant, .err = err};
    uint32_t nodes = mn_graph_node_count(deployed);
    mn_status status = MN_OK;
    if (quant->node_count != nodes)
        return mn_error_set(err,
                            MN_ERR_MISMATCH,
                            "a quantised network of %u nodes, expected %u",
                            quant->node_count,
                            nodes);
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = check_node(&c, n);
    for (uint32_t n = 0; n < nodes && status == MN_OK; n++)
        status = check_copies(&c, n); /* scales are known to be sound */
    return status == MN_OK ? check_classes(&c) : status;
}
