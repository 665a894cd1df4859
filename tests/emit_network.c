/* The network of test_emit.c and test_c_project.c: its graph, plan and plain evaluation. */
#include "emit_network.h"

#include "test.h"

#include <math.h>

#include "base/random.h"

static uint32_t add1(mn_graph_builder *b, mn_node_spec spec, uint32_t input)
{
    spec.inputs = &input;
    spec.input_count = 1;
    spec.layer = MN_NONE;
    return mn_graph_add(b, &spec);
}

static uint32_t
add2(mn_graph_builder *b, mn_prim prim, const char *name, mn_act act, uint32_t x, uint32_t y)
{
    const uint32_t inputs[] = {x, y};
    return mn_graph_add(b,
                        &(mn_node_spec){.prim = prim,
                                        .name = name,
                                        .inputs = inputs,
                                        .input_count = 2,
                                        .act = act,
                                        .layer = MN_NONE});
}

/* ---- plan ----------------------------------------------------------------------------------- */

/* Every value in a buffer of its own, nothing shared; one step for each node but input and
 * reshape. One more buffer is empty. The callers then move single values into others. */
static void plan_apart(network *n)
{
    uint32_t nodes = mn_graph_node_count(n->graph);
    n->plan = (mn_plan){.align = 16, .value_count = nodes, .buffer_count = nodes + 1};
    n->plan.views = calloc(nodes, sizeof *n->plan.views);
    n->plan.buffers = calloc(nodes + 1, sizeof *n->plan.buffers);
    n->plan.steps = calloc(nodes, sizeof *n->plan.steps);
    assert_true(n->plan.views != NULL && n->plan.buffers != NULL && n->plan.steps != NULL);
    for (uint32_t i = 0; i < nodes; i++) {
        const mn_node *node = mn_graph_node(n->graph, i);
        size_t bytes = (mn_shape_elements(node->shape) * sizeof(float) + 15) / 16 * 16;
        n->plan.views[i] = (mn_view){.buffer = i, .pixel_stride = node->shape.c};
        n->plan.buffers[i] = (mn_plan_buffer){.bytes = bytes, .offset = n->plan.arena_bytes};
        n->plan.arena_bytes += bytes;
        if (node->prim != MN_PRIM_INPUT && node->prim != MN_PRIM_RESHAPE)
            n->plan.steps[n->plan.step_count++] = (mn_step){.node = i, .scratch = MN_NONE};
    }
    for (uint32_t t = 0; t < mn_graph_tensor_count(n->graph); t++)
        n->plan.weights_bytes += mn_graph_tensor_elements(n->graph, t) * sizeof(float);
}

/* Writes a convolution over its input; the empty buffer, of `scratch_bytes`, becomes its scratch.
 */
static void plan_in_place(network *n, uint32_t node, size_t scratch_bytes)
{
    mn_plan *plan = &n->plan;
    uint32_t scratch = plan->buffer_count - 1;
    plan->views[node] = plan->views[mn_graph_node(n->graph, node)->inputs[0]];
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].node != node)
            continue;
        plan->steps[s].in_place = true;
        plan->steps[s].scratch = scratch_bytes == 0 ? MN_NONE : scratch;
    }
    if (scratch_bytes == 0)
        return;
    plan->buffers[scratch] = (mn_plan_buffer){.bytes = scratch_bytes, .offset = plan->arena_bytes};
    plan->arena_bytes += (scratch_bytes + 15) / 16 * 16;
}

static void fill_tensors(network *n, uint64_t seed)
{
    mn_random random = mn_random_make(seed, 1);
    n->tensors.count = mn_graph_tensor_count(n->graph);
    n->tensors.items = calloc(n->tensors.count, sizeof *n->tensors.items);
    assert_non_null(n->tensors.items);
    for (uint32_t t = 0; t < n->tensors.count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(n->graph, t);
        size_t count = mn_graph_tensor_elements(n->graph, t);
        mn_tensor *tensor = &n->tensors.items[t];
        float *numbers = calloc(count, sizeof *numbers);
        assert_non_null(numbers);
        *tensor = (mn_tensor){.dtype = MN_F32, .rank = info->rank, .data = numbers};
        memcpy(tensor->dims, info->dims, sizeof tensor->dims);
        for (size_t i = 0; i < count; i++)
            numbers[i] = 0.5f * mn_random_normal(&random);
    }
}

static void fill_model(network *n)
{
    static char first[] = "T-shirt/top";
    static char second[] = "say_\"what\"?\?/";
    static char third[] = "caf\xc3\xa9";
    static char fourth[] = "*/";
    n->class_names[0] = first;
    n->class_names[1] = second;
    n->class_names[2] = third;
    n->class_names[3] = fourth;
    n->model.preprocessing = (mn_preprocessing){.mean = NET_MEAN, .scale = NET_SCALE};
    n->model.class_count = NET_CLASSES;
    n->model.class_names = n->class_names;
}

/* ---- networks ------------------------------------------------------------------------------- */

static void network_finish(network *n, mn_graph_builder *b, uint32_t output)
{
    mn_error err;
    assert_ok(mn_graph_builder_finish(b, &output, 1, &n->graph, &err), &err);
    mn_graph_builder_free(b);
    fill_tensors(n, 1);
    fill_model(n);
    plan_apart(n);
}

void network_init(network *n)
{
    mn_error err;
    mn_graph_builder *b = NULL;
    *n = (network){0};
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    uint32_t input = mn_graph_add(b,
                                  &(mn_node_spec){.prim = MN_PRIM_INPUT,
                                                  .name = "input",
                                                  .shape = {NET_H, NET_W, NET_C},
                                                  .layer = MN_NONE});
    mn_window strided = {3, 3, 2, 2, 1, 1, 0, 1, 2, 0};
    uint32_t stem = add1(b,
                         (mn_node_spec){.prim = MN_PRIM_CONV,
                                        .name = "stem */ \\ int #1",
                                        .channels = 5,
                                        .window = strided,
                                        .bias = true,
                                        .act = MN_ACT_RELU},
                         input);
    mn_shape shape = mn_graph_builder_shape(b, stem);
    mn_window same = mn_window_same(shape, 3, 3, 1, 1);
    mn_window dilated = mn_window_same(shape, 3, 3, 1, 2);
    mn_window one = mn_window_same(shape, 1, 1, 1, 1);
    uint32_t depthwise = add1(b,
                              (mn_node_spec){.prim = MN_PRIM_CONV,
                                             .name = "block0.cell0.op0.depthwise",
                                             .channels = 5,
                                             .groups = 5,
                                             .window = dilated,
                                             .act = MN_ACT_RELU6},
                              stem);
    uint32_t point =
        add1(b,
             (mn_node_spec){
                 .prim = MN_PRIM_CONV, .name = "point", .channels = 4, .window = one, .bias = true},
             stem);
    uint32_t joined = add2(b, MN_PRIM_CONCAT, "joined", MN_ACT_NONE, depthwise, point);
    uint32_t most =
        add1(b, (mn_node_spec){.prim = MN_PRIM_MAX_POOL, .name = "most", .window = same}, joined);
    uint32_t mean =
        add1(b, (mn_node_spec){.prim = MN_PRIM_AVG_POOL, .name = "mean", .window = same}, joined);
    uint32_t sum = add2(b, MN_PRIM_ADD, "sum", MN_ACT_RELU6, mean, most);
    uint32_t relu = add1(b, (mn_node_spec){.prim = MN_PRIM_RELU, .name = "relu"}, point);
    uint32_t both = add2(b, MN_PRIM_CONCAT, "both", MN_ACT_NONE, sum, relu); /* 13 channels */
    uint32_t wide = add1(
        b,
        (mn_node_spec){
            .prim = MN_PRIM_CONV, .name = "wide", .channels = 6, .window = dilated, .bias = true},
        both);
    mn_window lopsided = {3, 2, 1, 1, 1, 1, 2, 0, 0, 1};
    uint32_t over = add1(b,
                         (mn_node_spec){.prim = MN_PRIM_CONV,
                                        .name = "over",
                                        .channels = 6,
                                        .groups = 6,
                                        .window = lopsided,
                                        .bias = true,
                                        .act = MN_ACT_RELU},
                         wide);
    uint32_t scale =
        add1(b,
             (mn_node_spec){
                 .prim = MN_PRIM_CONV, .name = "scale", .channels = 6, .groups = 6, .window = one},
             over);
    uint32_t grouped = add1(b,
                            (mn_node_spec){.prim = MN_PRIM_CONV,
                                           .name = "grouped",
                                           .channels = 9,
                                           .groups = 3,
                                           .window = same,
                                           .bias = true},
                            scale);
    uint32_t pooled =
        add1(b, (mn_node_spec){.prim = MN_PRIM_GLOBAL_POOL, .name = "pooled"}, grouped);
    uint32_t flat =
        add1(b,
             (mn_node_spec){
                 .prim = MN_PRIM_RESHAPE, .name = "flat", .shape = {1, 1, shape.h * shape.w * 9}},
             grouped);
    uint32_t dense = add1(
        b,
        (mn_node_spec){
            .prim = MN_PRIM_FULLY_CONNECTED, .name = "dense", .channels = 7, .act = MN_ACT_RELU},
        sum); /* of (H,W,C): the weights are reordered */
    uint32_t flat_dense = add1(
        b,
        (mn_node_spec){
            .prim = MN_PRIM_FULLY_CONNECTED, .name = "flat.dense", .channels = 3, .bias = true},
        flat);
    uint32_t head = add2(b, MN_PRIM_CONCAT, "head", MN_ACT_NONE, pooled, dense);
    uint32_t head2 = add2(b, MN_PRIM_CONCAT, "head2", MN_ACT_NONE, head, flat_dense);
    uint32_t relu6 = add1(b, (mn_node_spec){.prim = MN_PRIM_RELU6, .name = "relu6"}, head2);
    uint32_t logits = add1(b,
                           (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED,
                                          .name = "logits",
                                          .channels = NET_CLASSES,
                                          .bias = true},
                           relu6);
    network_finish(n, b, logits);

    mn_view *views = n->plan.views;
    views[depthwise] = (mn_view){joined, 0, 9}; /* made in its slice; point is copied */
    views[sum] = (mn_view){both, 0, 13};        /* added in place on "most" ... */
    views[most] = views[sum];                   /* ... which lies in a slice already */
    views[flat] = (mn_view){grouped, 0, 9 * shape.h * shape.w};
    views[pooled] = (mn_view){head2, 0, 9}; /* slices of slices */
    views[dense] = (mn_view){head2, 9, 7};
    views[head] = (mn_view){head2, 0, 16};
    views[relu6] = views[head2];
    plan_in_place(n, over, (size_t)3 * shape.w * 6 * sizeof(float)); /* keeps three rows */
    plan_in_place(n, scale, 0);
}

void network_init_small(network *n)
{
    mn_error err;
    mn_graph_builder *b = NULL;
    *n = (network){0};
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    uint32_t input = mn_graph_add(
        b,
        &(mn_node_spec){
            .prim = MN_PRIM_INPUT, .name = "input", .shape = {2, 3, 1}, .layer = MN_NONE});
    uint32_t logits = add1(
        b,
        (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED, .name = "logits", .channels = NET_CLASSES},
        input);
    network_finish(n, b, logits);
}

void network_init_strided(network *n)
{
    mn_error err;
    mn_graph_builder *b = NULL;
    *n = (network){0};
    assert_ok(mn_graph_builder_create(&b, &err), &err);
    mn_shape shape = {4, 4, 2};
    uint32_t input = mn_graph_add(
        b,
        &(mn_node_spec){.prim = MN_PRIM_INPUT, .name = "input", .shape = shape, .layer = MN_NONE});
    uint32_t half = add1(b,
                         (mn_node_spec){.prim = MN_PRIM_CONV,
                                        .name = "half",
                                        .channels = 2,
                                        .groups = 2,
                                        .window = mn_window_same(shape, 3, 3, 2, 1)},
                         input);
    uint32_t logits = add1(
        b,
        (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED, .name = "logits", .channels = NET_CLASSES},
        half);
    network_finish(n, b, logits);
}

mn_emit_input network_input(const network *n)
{
    return (mn_emit_input){.graph = n->graph,
                           .tensors = n->quant == NULL ? &n->tensors : NULL,
                           .quant = n->quant,
                           .plan = &n->plan,
                           .model = &n->model};
}

void network_done(network *n)
{
    for (uint32_t t = 0; t < n->tensors.count; t++)
        free(n->tensors.items[t].data);
    free(n->tensors.items);
    mn_quant_free(n->quant);
    free(n->plan.views);
    free(n->plan.buffers);
    free(n->plan.steps);
    mn_graph_free(n->graph);
}

/* ---- plain evaluation ----------------------------------------------------------------------- */

typedef struct evaluation {
    const network *net;
    double *values[NET_NODES_MAX]; /* (H,W,C) dense */
} evaluation;

static double tensor_at(const network *n, uint32_t tensor, size_t index)
{
    return tensor == MN_NONE ? 0.0 : (double)((const float *)n->tensors.items[tensor].data)[index];
}

/* Element of input `input`, or NAN outside the image. */
static double
pixel_at(const evaluation *e, const mn_node *node, uint32_t input, int64_t y, int64_t x, uint32_t c)
{
    mn_shape in = mn_graph_node(e->net->graph, node->inputs[input])->shape;
    if (y < 0 || x < 0 || y >= (int64_t)in.h || x >= (int64_t)in.w)
        return NAN;
    return e->values[node->inputs[input]][((size_t)y * in.w + (size_t)x) * in.c + c];
}

/* Convolution or pool at (y,x,o); weights (O,I/groups,KH,KW). */
static double
window_at(const evaluation *e, const mn_node *node, uint32_t y, uint32_t x, uint32_t o)
{
    const mn_window *k = &node->window;
    bool conv = node->prim == MN_PRIM_CONV;
    uint32_t in_c = mn_graph_node(e->net->graph, node->inputs[0])->shape.c;
    uint32_t inputs = conv ? in_c / node->groups : 1;
    uint32_t first = conv ? o / (node->shape.c / node->groups) * inputs : o;
    double sum = 0.0;
    double most = -1e300;
    uint32_t count = 0;
    for (uint32_t i = 0; i < inputs; i++)
        for (uint32_t ky = 0; ky < k->kernel_h; ky++)
            for (uint32_t kx = 0; kx < k->kernel_w; kx++) {
                double v = pixel_at(e,
                                    node,
                                    0,
                                    (int64_t)y * k->stride_h + ky * k->dilation_h - k->pad_top,
                                    (int64_t)x * k->stride_w + kx * k->dilation_w - k->pad_left,
                                    first + i);
                if (isnan(v))
                    continue;
                size_t index = ((size_t)(o * inputs + i) * k->kernel_h + ky) * k->kernel_w + kx;
                sum += conv ? v * tensor_at(e->net, node->tensors[MN_ROLE_WEIGHT], index) : v;
                most = fmax(most, v);
                count++;
            }
    if (conv)
        return sum + tensor_at(e->net, node->tensors[MN_ROLE_BIAS], o);
    return node->prim == MN_PRIM_MAX_POOL ? most : sum / count;
}

/* Sum over the whole input; weights (O,C,H,W), or 1/(H*W) of channel o alone. */
static double whole_at(const evaluation *e, const mn_node *node, uint32_t o)
{
    mn_shape in = mn_graph_node(e->net->graph, node->inputs[0])->shape;
    bool full = node->prim == MN_PRIM_FULLY_CONNECTED;
    double sum = full ? tensor_at(e->net, node->tensors[MN_ROLE_BIAS], o) : 0.0;
    for (uint32_t c = full ? 0 : o; c < (full ? in.c : o + 1); c++)
        for (uint32_t y = 0; y < in.h; y++)
            for (uint32_t x = 0; x < in.w; x++) {
                size_t index = ((size_t)(o * in.c + c) * in.h + y) * in.w + x;
                double weight = full ? tensor_at(e->net, node->tensors[MN_ROLE_WEIGHT], index)
                                     : 1.0 / (in.h * in.w);
                sum += weight * pixel_at(e, node, 0, y, x, c);
            }
    return sum;
}

static double
concat_at(const evaluation *e, const mn_node *node, uint32_t y, uint32_t x, uint32_t c)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t channels = mn_graph_node(e->net->graph, node->inputs[i])->shape.c;
        if (c < channels)
            return pixel_at(e, node, i, y, x, c);
        c -= channels;
    }
    return NAN;
}

static double
element_at(const evaluation *e, const mn_node *node, uint32_t y, uint32_t x, uint32_t c)
{
    switch ((int)node->prim) {
    case MN_PRIM_CONV:
    case MN_PRIM_MAX_POOL:
    case MN_PRIM_AVG_POOL:
        return window_at(e, node, y, x, c);
    case MN_PRIM_GLOBAL_POOL:
    case MN_PRIM_FULLY_CONNECTED:
        return whole_at(e, node, c);
    case MN_PRIM_ADD:
        return pixel_at(e, node, 0, y, x, c) + pixel_at(e, node, 1, y, x, c);
    case MN_PRIM_CONCAT:
        return concat_at(e, node, y, x, c);
    case MN_PRIM_RELU:
        return fmax(0.0, pixel_at(e, node, 0, y, x, c));
    case MN_PRIM_RELU6:
        return fmin(6.0, fmax(0.0, pixel_at(e, node, 0, y, x, c)));
    case MN_PRIM_RESHAPE:
        return e->values[node->inputs[0]][c];
    }
    fail_msg("no reference for %s", mn_prim_name(node->prim));
    return 0.0;
}

void network_run(const network *n, const unsigned char *image, double ret_scores[NET_CLASSES])
{
    evaluation e = {.net = n};
    uint32_t nodes = mn_graph_node_count(n->graph);
    assert_true(nodes <= NET_NODES_MAX);
    for (uint32_t i = 0; i < nodes; i++) {
        const mn_node *node = mn_graph_node(n->graph, i);
        size_t count = mn_shape_elements(node->shape);
        e.values[i] = calloc(count, sizeof(double));
        assert_non_null(e.values[i]);
        for (size_t k = 0; k < count; k++) {
            uint32_t c = (uint32_t)k % node->shape.c;
            uint32_t pixel = (uint32_t)k / node->shape.c;
            if (node->prim == MN_PRIM_INPUT) {
                e.values[i][k] = ((double)image[k] - (double)NET_MEAN) * (double)NET_SCALE;
                continue;
            }
            double v = element_at(&e, node, pixel / node->shape.w, pixel % node->shape.w, c);
            v = node->act == MN_ACT_NONE ? v : fmax(0.0, v);
            e.values[i][k] = node->act == MN_ACT_RELU6 ? fmin(6.0, v) : v;
        }
    }
    memcpy(ret_scores, e.values[mn_graph_output(n->graph, 0)], NET_CLASSES * sizeof(double));
    for (uint32_t i = 0; i < nodes; i++)
        free(e.values[i]);
}
