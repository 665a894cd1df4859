/*
 * Fake-quant: rounds a value to its int8 grid going forward, as the int8 kernels will (halves
 * upwards, kernels/mn_s8.h), and lets the gradient through inside the grid's range
 * (straight-through estimator; Bengio et al., arXiv:1308.3432). Of maps and of logits.
 */
#include <math.h>
#include <string.h>

#include "train/network.h"

/* Zero is on the grid (checked when the graph was built), so empty lanes stay zero. */
static mn__grid grid_of(const mn_node *node)
{
    const mn_quant_grid *g = &node->grid;
    return (mn__grid){.scale = g->scale,
                      .low = (float)((int64_t)g->low - g->zero_point),
                      .high = (float)((int64_t)g->high - g->zero_point)};
}

/* The largest number that is cut below, and the least that is cut above: the range's ends pass. */
static void find_range(const mn__grid *grid, float *ret_low, float *ret_high)
{
    *ret_low = nextafterf(grid->low * grid->scale, -INFINITY);
    *ret_high = nextafterf(grid->high * grid->scale, INFINITY);
}

/* ---- maps -------------------------------------------------------------------------------------
 */

typedef struct fake_quant_state {
    mn__network *net;
    mn__grid grid;
    const mn__value *in, *out;
} fake_quant_state;

static void fake_quant_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const fake_quant_state *s = context;
    mn__view view = mn__view_of(s->net, s->in);
    mn__maps out = mn__maps_at(s->net, s->out->storage, s->out);
    (void)worker;
    s->net->opts.simd->fake_quant(&view, &s->grid, &out, image);
}

/* The input as its gradient sees it. Where the input's own clamp cuts, who clamps cuts the gradient
 * too, so that only the grid's range counts here. */
static mn_status
create_range(mn__network *net, const fake_quant_state *s, mn__value **ret, mn_error *err)
{
    mn_status status = mn__value_view_create(net, s->in, ret, err);
    if (status == MN_OK)
        find_range(&s->grid, &(*ret)->low, &(*ret)->high);
    return status;
}

static mn_status maps_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *in = net->value_of[node->inputs[0]];
    mn__value *out = NULL;
    mn__value *range = NULL;
    void *block = NULL;
    mn_status status = mn__value_create(net, node->shape, in->lanes, in->channel_of, &out, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(fake_quant_state), &block, err);
    if (status != MN_OK)
        return status;
    fake_quant_state *s = block;
    *s = (fake_quant_state){.net = net, .grid = grid_of(node), .in = in, .out = out};
    status = create_range(net, s, &range, err);
    if (status != MN_OK)
        return status;
    mn__uses_value(net, in);
    mn__uses_value(net, out);
    double elements = (double)mn__value_elements(out);
    mn__step step = {.node = n,
                     .image = fake_quant_image,
                     .context = s,
                     .work = {.kind = "fake quant",
                              .flops = 4.0 * elements,
                              .bytes = 2.0 * elements * net->opts.simd->element_bytes}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &in, 1, out, mn__clamp_backward, range, err);
    net->value_of[n] = out;
    return status;
}

/* ---- logits -----------------------------------------------------------------------------------
 */

typedef struct logits_state {
    mn__network *net;
    mn__grid grid;
    float *exact; /* (N,classes): as the fully connected layer computed them */
} logits_state;

/* As simd's fake_quant. Comparisons, not fminf(): a value that is not a number must come out as
 * such, for the loss to show it. */
static float quantise(const mn__grid *grid, float x)
{
    float steps = x / grid->scale;
    steps = steps < grid->low ? grid->low : steps;
    steps = steps > grid->high ? grid->high : steps;
    return floorf(steps + 0.5f) * grid->scale;
}

static void logits_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const logits_state *s = context;
    const uint32_t classes = s->net->classes;
    float *logits = s->net->logits + (size_t)image * classes;
    float *exact = s->exact + (size_t)image * classes;
    (void)worker;
    memcpy(exact, logits, classes * sizeof *exact);
    for (uint32_t k = 0; k < classes; k++)
        logits[k] = quantise(&s->grid, exact[k]);
}

static void logits_image_backward(const void *context, const mn__worker *worker, uint32_t image)
{
    const logits_state *s = context;
    const uint32_t classes = s->net->classes;
    const float *exact = s->exact + (size_t)image * classes;
    float *gradient = s->net->logits_gradient + (size_t)image * classes;
    float low, high;
    (void)worker;
    find_range(&s->grid, &low, &high);
    for (uint32_t k = 0; k < classes; k++)
        if (!(exact[k] > low && exact[k] < high))
            gradient[k] = 0.0f;
}

static mn_status
logits_backward(mn__network *net, const mn__layer *layer, mn__gradient *out_gradient, mn_error *err)
{
    (void)out_gradient; /* that is net->logits_gradient */
    mn__step step = {.node = layer->node,
                     .image = logits_image_backward,
                     .context = layer->state,
                     .work = {.kind = "fake quant backward"}};
    return mn__program_add(net, &net->backward, &step, err);
}

/* In place: the logits' value, which is never stored, stands for both layers. */
static mn_status logits_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    mn__value *logits = net->value_of[node->inputs[0]];
    void *block = NULL;
    void *exact = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(logits_state), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(
            net, net->opts.batch, (size_t)net->classes * sizeof(float), &exact, err);
    if (status != MN_OK)
        return status;
    logits_state *s = block;
    *s = (logits_state){.net = net, .grid = grid_of(node), .exact = exact};
    mn__step step = {
        .node = n, .image = logits_image, .context = s, .work = {.kind = "fake quant"}};
    status = mn__program_add(net, &net->forward, &step, err);
    if (status == MN_OK)
        status = mn__layer_add(net, n, &logits, 1, logits, logits_backward, s, err);
    logits->wants_gradient = true;
    net->value_of[n] = logits;
    return status;
}

mn_status mn__fake_quant_build(mn__network *net, uint32_t n, mn_error *err)
{
    const mn_node *node = mn_graph_node(net->graph, n);
    bool logits = mn_graph_node(net->graph, node->inputs[0])->prim == MN_PRIM_FULLY_CONNECTED;
    return logits ? logits_build(net, n, err) : maps_build(net, n, err);
}
