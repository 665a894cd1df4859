/* The deploy pass against a plain evaluation in double, and the structure that it leaves. */
#include "test.h"

#include "alloc_failure.h"
#include "base/random.h"
#include "graph_reference.h"
#include "memnet/deploy.h"

enum { side = 5, channels = 3, outputs = 4 };

typedef struct chain {
    mn_graph_builder *builder;
    uint32_t count;
} chain;

static uint32_t add(chain *c, mn_node_spec spec)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", c->count);
    spec.name = name;
    spec.layer = MN_NONE;
    c->count++;
    return mn_graph_add(c->builder, &spec);
}

static uint32_t one(chain *c, mn_prim prim, uint32_t x)
{
    return add(c,
               (mn_node_spec){.prim = prim,
                              .inputs = &x,
                              .input_count = 1,
                              .grid = {.scale = 0.1f, .low = -128, .high = 127}});
}

static uint32_t conv(chain *c, uint32_t x, bool bias)
{
    return add(c,
               (mn_node_spec){.prim = MN_PRIM_CONV,
                              .inputs = &x,
                              .input_count = 1,
                              .channels = outputs,
                              .bias = bias,
                              .window = mn_window_same((mn_shape){side, side, 1}, 3, 3, 1, 1)});
}

static uint32_t pair(chain *c, mn_prim prim, uint32_t a, uint32_t b)
{
    uint32_t both[] = {a, b};
    return add(c, (mn_node_spec){.prim = prim, .inputs = both, .input_count = 2});
}

static uint32_t dense(chain *c, uint32_t x)
{
    return add(c,
               (mn_node_spec){.prim = MN_PRIM_FULLY_CONNECTED,
                              .inputs = &x,
                              .input_count = 1,
                              .channels = outputs,
                              .bias = true});
}

/* ---- networks: each builds from the input, node 0, and returns its output ---------------------
 */

static uint32_t conv_norm_relu(chain *c)
{
    return dense(c, one(c, MN_PRIM_RELU, one(c, MN_PRIM_BATCH_NORM, conv(c, 0, false))));
}

static uint32_t conv_bias_norm_relu6(chain *c)
{
    return dense(c, one(c, MN_PRIM_RELU6, one(c, MN_PRIM_BATCH_NORM, conv(c, 0, true))));
}

static uint32_t identities_between(chain *c)
{
    uint32_t x = one(c, MN_PRIM_IDENTITY, conv(c, one(c, MN_PRIM_IDENTITY, 0), false));
    x = one(c, MN_PRIM_IDENTITY, one(c, MN_PRIM_BATCH_NORM, x));
    return dense(c, one(c, MN_PRIM_IDENTITY, one(c, MN_PRIM_RELU, x)));
}

static uint32_t lone_norm(chain *c)
{
    return dense(c, one(c, MN_PRIM_RELU, one(c, MN_PRIM_BATCH_NORM, 0)));
}

/* The convolution is read twice: its norm must stay a node of its own. */
static uint32_t conv_read_twice(chain *c)
{
    uint32_t x = conv(c, 0, false);
    return dense(c, pair(c, MN_PRIM_ADD, x, one(c, MN_PRIM_BATCH_NORM, x)));
}

/* The norm is read twice: it folds, the relu does not fuse. */
static uint32_t norm_read_twice(chain *c)
{
    uint32_t x = one(c, MN_PRIM_BATCH_NORM, conv(c, 0, false));
    return dense(c, pair(c, MN_PRIM_CONCAT, x, one(c, MN_PRIM_RELU, x)));
}

static uint32_t two_norms(chain *c)
{
    uint32_t x = one(c, MN_PRIM_BATCH_NORM, conv(c, 0, false));
    return dense(c, one(c, MN_PRIM_BATCH_NORM, x));
}

static uint32_t two_relus(chain *c)
{
    return dense(c, one(c, MN_PRIM_RELU6, one(c, MN_PRIM_RELU, conv(c, 0, true))));
}

static uint32_t relu_before_norm(chain *c)
{
    return dense(c, one(c, MN_PRIM_BATCH_NORM, one(c, MN_PRIM_RELU, conv(c, 0, true))));
}

static uint32_t add_relu(chain *c)
{
    uint32_t a = one(c, MN_PRIM_BATCH_NORM, conv(c, 0, false));
    uint32_t b = one(c, MN_PRIM_BATCH_NORM, conv(c, 0, false));
    return dense(c, one(c, MN_PRIM_RELU, pair(c, MN_PRIM_ADD, a, b)));
}

static uint32_t pool_relu6(chain *c)
{
    uint32_t x = 0;
    x = add(c,
            (mn_node_spec){.prim = MN_PRIM_MAX_POOL,
                           .inputs = &x,
                           .input_count = 1,
                           .window = mn_window_same((mn_shape){side, side, 1}, 3, 3, 2, 1)});
    return dense(c, one(c, MN_PRIM_RELU6, x));
}

/* Nothing takes the activation: it stays. */
static uint32_t relu_of_input(chain *c)
{
    return dense(c, one(c, MN_PRIM_RELU, one(c, MN_PRIM_IDENTITY, 0)));
}

static uint32_t dense_relu(chain *c)
{
    return one(c, MN_PRIM_RELU, dense(c, one(c, MN_PRIM_GLOBAL_POOL, 0)));
}

typedef struct network {
    uint32_t (*build)(chain *c);
    mn_prim nodes[8]; /* of the deployed graph after its input; MN_PRIM_INPUT ends */
    mn_act acts[8];
} network;

static const network networks[] = {
    {conv_norm_relu, {MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}},
    {conv_bias_norm_relu6, {MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU6}},
    {identities_between, {MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}},
    {lone_norm, {MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}},
    {conv_read_twice,
     {MN_PRIM_CONV, MN_PRIM_CONV, MN_PRIM_ADD, MN_PRIM_FULLY_CONNECTED},
     {MN_ACT_NONE}},
    {norm_read_twice,
     {MN_PRIM_CONV, MN_PRIM_RELU, MN_PRIM_CONCAT, MN_PRIM_FULLY_CONNECTED},
     {MN_ACT_NONE}},
    {two_norms, {MN_PRIM_CONV, MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_NONE}},
    {two_relus, {MN_PRIM_CONV, MN_PRIM_RELU6, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}},
    {relu_before_norm, {MN_PRIM_CONV, MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}},
    {add_relu,
     {MN_PRIM_CONV, MN_PRIM_CONV, MN_PRIM_ADD, MN_PRIM_FULLY_CONNECTED},
     {MN_ACT_NONE, MN_ACT_NONE, MN_ACT_RELU}},
    {pool_relu6, {MN_PRIM_MAX_POOL, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU6}},
    {relu_of_input, {MN_PRIM_RELU, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_NONE}},
    {dense_relu, {MN_PRIM_GLOBAL_POOL, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_NONE, MN_ACT_RELU}},
};
enum { network_count = sizeof networks / sizeof networks[0] };

static mn_graph *build(uint32_t (*network)(chain *c))
{
    chain c = {0};
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_create(&c.builder, &err), &err);
    add(&c, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {side, side, channels}});
    uint32_t output = network(&c);
    assert_ok(mn_graph_builder_finish(c.builder, &output, 1, &graph, &err), &err);
    mn_graph_builder_free(c.builder);
    return graph;
}

/* Any numbers, positive variances; some gammas are negative, so that a fused relu must come after
 * the fold. */
static mn_tensors *draw(const mn_graph *graph, mn_random *random)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    for (uint32_t t = 0; t < tensors->count; t++) {
        float *numbers = tensors->items[t].data;
        bool variance = mn_graph_tensor(graph, t)->role == MN_ROLE_VARIANCE;
        for (size_t i = 0; i < mn_tensor_elements(&tensors->items[t]); i++)
            numbers[i] =
                variance ? 0.1f + 2.0f * mn_random_uniform(random) : mn_random_normal(random);
    }
    return tensors;
}

static void check_structure(const mn_graph *deployed, const network *n)
{
    uint32_t count = 0;
    while (n->nodes[count] != MN_PRIM_INPUT)
        count++;
    assert_int_equal(mn_graph_node_count(deployed), count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const mn_node *node = mn_graph_node(deployed, i + 1);
        assert_string_equal(mn_prim_name(node->prim), mn_prim_name(n->nodes[i]));
        assert_int_equal(node->act, n->acts[i]);
    }
}

static void test_computes_the_same(void **state)
{
    (void)state;
    mn_random random = mn_random_make(11, 0);
    for (size_t i = 0; i < network_count; i++) {
        mn_graph *graph = build(networks[i].build);
        mn_tensors *tensors = draw(graph, &random);
        mn_graph *deployed = NULL;
        mn_tensors *folded = NULL;
        mn_error err;
        assert_ok(mn_deploy(graph, tensors, &deployed, &folded, &err), &err);
        check_structure(deployed, &networks[i]);
        for (int image = 0; image < 8; image++) {
            double pixels[side * side * channels];
            double expected[outputs];
            double actual[outputs];
            for (size_t p = 0; p < sizeof pixels / sizeof pixels[0]; p++)
                pixels[p] = (double)(3.0f * mn_random_normal(&random));
            reference_run(graph, tensors, pixels, expected);
            reference_run(deployed, folded, pixels, actual);
            for (int o = 0; o < outputs; o++)
                if (!(fabs(actual[o] - expected[o]) <= 1e-5 * (10.0 + fabs(expected[o]))))
                    fail_msg("network %zu: %g, expected %g", i, actual[o], expected[o]);
        }
        mn_tensors_free(folded);
        mn_graph_free(deployed);
        mn_tensors_free(tensors);
        mn_graph_free(graph);
    }
}

/* Without numbers the graph is the same. */
static void test_sizes_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < network_count; i++) {
        mn_graph *graph = build(networks[i].build);
        mn_graph *deployed = NULL;
        mn_error err;
        assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
        check_structure(deployed, &networks[i]);
        mn_graph_free(deployed);
        mn_graph_free(graph);
    }
}

static uint32_t fake_quants(chain *c)
{
    uint32_t x = one(c, MN_PRIM_FAKE_QUANT, 0);
    x = one(c, MN_PRIM_RELU, one(c, MN_PRIM_FAKE_QUANT, conv(c, x, true)));
    return one(c, MN_PRIM_FAKE_QUANT, dense(c, one(c, MN_PRIM_FAKE_QUANT, x)));
}

static void test_fake_quants_go(void **state)
{
    (void)state;
    static const network expected = {
        fake_quants, {MN_PRIM_CONV, MN_PRIM_FULLY_CONNECTED}, {MN_ACT_RELU}};
    mn_graph *graph = build(fake_quants);
    mn_graph *deployed = NULL;
    mn_error err;
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    check_structure(deployed, &expected);
    assert_int_equal(mn_graph_output(deployed, 0), 2);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* Sizes that an imported file states for values and constants stay with their nodes. */
static void test_stated_sizes_stay(void **state)
{
    (void)state;
    chain c = {0};
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_error err;
    uint32_t first = 0;
    assert_ok(mn_graph_builder_create(&c.builder, &err), &err);
    add(&c,
        (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {side, side, channels}, .element_bytes = 1});
    uint32_t opaque = add(&c,
                          (mn_node_spec){.prim = MN_PRIM_OPAQUE,
                                         .inputs = &first,
                                         .input_count = 1,
                                         .shape = {1, 1, channels},
                                         .element_bytes = 8,
                                         .constant_bytes = 77});
    assert_ok(mn_graph_builder_finish(c.builder, &opaque, 1, &graph, &err), &err);
    mn_graph_builder_free(c.builder);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    assert_int_equal(mn_graph_node(deployed, 0)->element_bytes, 1);
    assert_int_equal(mn_graph_node(deployed, 1)->element_bytes, 8);
    assert_int_equal(mn_graph_node(deployed, 1)->constant_bytes, 77);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* A value that is an output of the graph is read from outside: nothing fuses past it. */
static void test_outputs_are_readers(void **state)
{
    (void)state;
    chain c = {0};
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_error err;
    assert_ok(mn_graph_builder_create(&c.builder, &err), &err);
    add(&c, (mn_node_spec){.prim = MN_PRIM_INPUT, .shape = {side, side, channels}});
    uint32_t norm = one(&c, MN_PRIM_BATCH_NORM, conv(&c, 0, false));
    uint32_t both[] = {norm, one(&c, MN_PRIM_RELU, norm)};
    assert_ok(mn_graph_builder_finish(c.builder, both, 2, &graph, &err), &err);
    mn_graph_builder_free(c.builder);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    assert_int_equal(mn_graph_node_count(deployed), 3);
    assert_int_equal(mn_graph_output(deployed, 0), 1);
    assert_int_equal(mn_graph_output(deployed, 1), 2);
    assert_int_equal(mn_graph_node(deployed, 1)->act, MN_ACT_NONE);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

/* A variance below zero, or numbers past float32: an error that says where, nothing returned. */
static void test_not_finite(void **state)
{
    (void)state;
    const struct {
        mn_tensor_role role;
        float value;
    } cases[] = {{MN_ROLE_VARIANCE, -1.0f},
                 {MN_ROLE_GAMMA, 3e38f},
                 {MN_ROLE_MEAN, -INFINITY},
                 {MN_ROLE_BETA, NAN},
                 {MN_ROLE_WEIGHT, NAN}};
    mn_graph *graph = build(conv_norm_relu);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_random random = mn_random_make(12, i);
        mn_tensors *tensors = draw(graph, &random);
        mn_graph *deployed = NULL;
        mn_tensors *folded = NULL;
        mn_error err;
        uint32_t node = cases[i].role == MN_ROLE_WEIGHT ? 1 : 2;
        uint32_t tensor = mn_graph_node(graph, node)->tensors[cases[i].role];
        size_t per_output = mn_graph_tensor_elements(graph, tensor) / outputs;
        for (size_t k = 0; k < per_output; k++)
            ((float *)tensors->items[tensor].data)[2 * per_output + k] = cases[i].value;
        if (cases[i].role == MN_ROLE_GAMMA) /* and a scale past float32 in all */
            ((float *)tensors->items[mn_graph_node(graph, 2)->tensors[MN_ROLE_VARIANCE]].data)[2] =
                1e-9f;
        assert_error(mn_deploy(graph, tensors, &deployed, &folded, &err),
                     MN_ERR_UNSUPPORTED,
                     &err,
                     "n1: output channel 2");
        assert_null(deployed);
        assert_null(folded);
        mn_tensors_free(tensors);
    }
    mn_graph_free(graph);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    mn_random random = mn_random_make(13, 0);
    mn_graph *graph = build(add_relu);
    mn_tensors *tensors = draw(graph, &random);
    size_t n = 0;
    for (bool failed = true; failed;) {
        mn_graph *deployed = NULL;
        mn_tensors *folded = NULL;
        mn_error err;
        alloc_fail_at(++n);
        mn_status status = mn_deploy(graph, tensors, &deployed, &folded, &err);
        failed = alloc_has_failed();
        assert_int_equal(status, failed ? MN_ERR_NOMEM : MN_OK);
        assert_true((deployed == NULL) == failed && (folded == NULL) == failed);
        mn_tensors_free(folded);
        mn_graph_free(deployed);
    }
    assert_true(n > 20);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_computes_the_same),
        cmocka_unit_test(test_sizes_only),
        cmocka_unit_test(test_fake_quants_go),
        cmocka_unit_test(test_stated_sizes_stay),
        cmocka_unit_test(test_outputs_are_readers),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, alloc_failure_setup, NULL);
}
