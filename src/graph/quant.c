/*
 * Quantised networks: their tables, and the one judge of whether they can be run. Conversion, model
 * files and fine-tuning all hand their numbers through mn_quant_check().
 *
 * Invariant: what passes the check cannot make an int8 kernel overflow a sum, shift by a width that
 * C leaves open, or read a value on a grid that is not its own, whatever plan the network runs in.
 */
#include "memnet/quant.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "kernels/mn_s8.h"

/* Of mn_s8.h. */
enum { LOW = -128, HIGH = 127, WEIGHT_MOST = 127, SHIFT_MOST = 62, ADD_SHIFT_MOST = 31 };
static const int32_t least_multiplier = 1 << 30;
static const int32_t least_add = 1 << 21;
static const int32_t most_add = 1 << 22;

/* Of global pools. */
static const uint64_t most_pixels = UINT64_C(1) << 22;

/* ---- tables --------------------------------------------------------------------------------- */

mn_quant_sizes mn_quant_sizes_of(const mn_graph *deployed, uint32_t node)
{
    const mn_node *n = mn_graph_node(deployed, node);
    mn_quant_sizes sizes = {0};
    if (n->tensors[MN_ROLE_WEIGHT] == MN_NONE ||
        (n->prim != MN_PRIM_CONV && n->prim != MN_PRIM_FULLY_CONNECTED))
        return sizes;
    uint32_t in_c = mn_graph_node(deployed, n->inputs[0])->shape.c;
    sizes.outputs = n->shape.c;
    sizes.filter = mn_graph_tensor_elements(deployed, n->tensors[MN_ROLE_WEIGHT]) / n->shape.c;
    sizes.is_depthwise = n->prim == MN_PRIM_CONV && n->groups == in_c && n->shape.c == in_c;
    return sizes;
}

static bool create_node(const mn_graph *graph, uint32_t n, mn_quant_node *node)
{
    mn_quant_sizes sizes = mn_quant_sizes_of(graph, n);
    if (sizes.outputs == 0)
        return true;
    node->weights = mn_calloc(sizes.outputs * sizes.filter, sizeof *node->weights);
    node->bias = mn_calloc(sizes.outputs, sizeof *node->bias);
    node->multiplier = mn_calloc(sizes.outputs, sizeof *node->multiplier);
    node->shift = mn_calloc(sizes.outputs, sizeof *node->shift);
    node->weight_scale = mn_calloc(sizes.outputs, sizeof *node->weight_scale);
    return node->weights != NULL && node->bias != NULL && node->multiplier != NULL &&
           node->shift != NULL && node->weight_scale != NULL;
}

mn_status mn_quant_create(const mn_graph *deployed, mn_quant **ret_quant, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(deployed);
    mn_quant *quant = mn_calloc(1, sizeof *quant);
    if (quant == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for a quantised network");
    quant->values = mn_calloc(nodes, sizeof *quant->values);
    quant->nodes = mn_calloc(nodes, sizeof *quant->nodes);
    bool good = quant->values != NULL && quant->nodes != NULL;
    quant->node_count = quant->nodes != NULL ? nodes : 0;
    for (uint32_t n = 0; n < nodes && good; n++)
        good = create_node(deployed, n, &quant->nodes[n]);
    if (!good) {
        mn_quant_free(quant);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for a quantised network");
    }
    *ret_quant = quant;
    return MN_OK;
}

void mn_quant_free(mn_quant *quant)
{
    if (quant == NULL)
        return;
    for (uint32_t n = 0; n < quant->node_count; n++) {
        free(quant->nodes[n].weights);
        free(quant->nodes[n].bias);
        free(quant->nodes[n].multiplier);
        free(quant->nodes[n].shift);
        free(quant->nodes[n].weight_scale);
    }
    free(quant->nodes);
    free(quant->values);
    free(quant);
}

/* ---- factors -------------------------------------------------------------------------------- */

mn_status mn_quant_factor(double real, int32_t *ret_multiplier, int32_t *ret_shift, mn_error *err)
{
    int exponent = 0;
    if (!(real >= 0) || real >= (double)least_multiplier)
        return mn_error_set(err, MN_ERR_LIMIT, "a factor of %g, expected one in [0, 2^30)", real);
    if (real < 0x1p-32) {
        *ret_multiplier = 0;
        *ret_shift = 31;
        return MN_OK;
    }
    int64_t multiplier = llround(frexp(real, &exponent) * 0x1p31);
    if (multiplier == INT64_C(1) << 31) { /* rounded up to the next power of two */
        multiplier /= 2;
        exponent++;
    }
    if (exponent > 30)
        return mn_error_set(err, MN_ERR_LIMIT, "a factor of %g, expected one in [0, 2^30)", real);
    *ret_multiplier = (int32_t)multiplier;
    *ret_shift = 31 - exponent;
    return MN_OK;
}

static bool is_same_grid(const mn_quant_value *a, const mn_quant_value *b)
{
    return a->scale == b->scale && a->zero_point == b->zero_point;
}

mn_status mn_quant_copy_factor(const mn_quant_value *from,
                               const mn_quant_value *to,
                               bool *ret_same,
                               int32_t *ret_multiplier,
                               int32_t *ret_shift,
                               mn_error *err)
{
    int32_t multiplier = 0;
    int32_t shift = 0;
    mn_status status =
        mn_quant_factor((double)from->scale / (double)to->scale, &multiplier, &shift, err);
    if (status != MN_OK)
        return status;
    *ret_same = is_same_grid(from, to);
    *ret_multiplier = multiplier;
    *ret_shift = shift;
    return MN_OK;
}

/* ---- classes -------------------------------------------------------------------------------- */

static bool keeps_grid(mn_prim prim)
{
    return prim == MN_PRIM_RELU || prim == MN_PRIM_RELU6 || prim == MN_PRIM_MAX_POOL ||
           prim == MN_PRIM_AVG_POOL || prim == MN_PRIM_RESHAPE;
}

/* Every plan keeps the graph's inputs dense, outside of slices. */
static bool is_copied_part(const mn_graph *graph, const mn_node *concat, uint32_t x)
{
    return concat->prim == MN_PRIM_CONCAT && mn_graph_node(graph, x)->prim == MN_PRIM_INPUT;
}

static uint32_t root_of(const uint32_t *classes, uint32_t n)
{
    while (classes[n] != n)
        n = classes[n];
    return n;
}

void mn_quant_classes(const mn_graph *deployed, uint32_t *ret_class)
{
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++) {
        const mn_node *node = mn_graph_node(deployed, n);
        ret_class[n] = n;
        if (node->prim != MN_PRIM_CONCAT && !keeps_grid(node->prim))
            continue;
        for (uint32_t i = 0; i < node->input_count; i++) {
            if (is_copied_part(deployed, node, node->inputs[i]))
                continue;
            uint32_t a = root_of(ret_class, n);
            uint32_t b = root_of(ret_class, node->inputs[i]);
            ret_class[a > b ? a : b] = a > b ? b : a;
        }
    }
    for (uint32_t n = 0; n < mn_graph_node_count(deployed); n++)
        ret_class[n] = root_of(ret_class, n); /* roots are first: theirs are final */
}

/* ---- the check ------------------------------------------------------------------------------ */

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
    for (size_t k = 0; k < sizes.filter; k++) {
        int32_t weight = q->weights[o * sizes.filter + k]; /* in whatever order */
        if (weight < -WEIGHT_MOST)
            return wrong(c, n, "weight", weight, "-127 to 127");
    }
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
    if (sizes.filter > MN_S8_TERMS)
        return mn_error_set(c->err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': sums of %zu products, int8 kernels sum at most %d",
                            mn_graph_node(c->graph, n)->name,
                            sizes.filter,
                            MN_S8_TERMS);
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

/* Pools sum what the whole image or a window holds. */
static mn_status check_summed(const checker *c, uint32_t n)
{
    const mn_node *node = mn_graph_node(c->graph, n);
    mn_shape in = mn_graph_node(c->graph, node->inputs[0])->shape;
    uint64_t pixels = (uint64_t)in.h * in.w;
    if (pixels > most_pixels)
        return mn_error_set(c->err,
                            MN_ERR_UNSUPPORTED,
                            "node '%s': a mean over an image of %" PRIu64 " pixels, int8 kernels "
                            "sum at most 2^22",
                            node->name,
                            pixels);
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
        if (!is_same_grid(value, first))
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
    if (status == MN_OK && q->weights != NULL)
        status = check_weights(c, n);
    if (status == MN_OK && prim == MN_PRIM_ADD)
        status = check_add(c, n);
    if (status == MN_OK && prim == MN_PRIM_GLOBAL_POOL)
        status = check_factor(c, n, q->factor, q->factor_shift);
    if (status == MN_OK && (prim == MN_PRIM_GLOBAL_POOL || prim == MN_PRIM_AVG_POOL))
        status = check_summed(c, n);
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
