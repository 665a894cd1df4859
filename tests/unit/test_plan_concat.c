/* Concats, to the byte: by slices opened early or late, nested, by copy, and with what is written
 * over inside of a slice. A map of 4x4 pixels takes 64 bytes for each channel. */
#include "plan_sim.h"

static void assert_view(const mn_plan *plan, uint32_t value, uint32_t channel, uint32_t stride)
{
    assert_int_equal(plan->views[value].channel_offset, channel);
    assert_int_equal(plan->views[value].pixel_stride, stride);
}

static void assert_in(const mn_plan *plan, uint32_t value, uint32_t host)
{
    assert_int_equal(plan->views[value].buffer, plan->views[host].buffer);
}

static void assert_proven(const mn_plan *plan, size_t arena)
{
    assert_int_equal(plan->arena_bytes, arena);
    assert_int_equal(plan->peak_bytes, arena);
    assert_int_equal(plan->lower_bound_bytes, arena);
    assert_true(plan->order_proven);
    assert_true(plan->offsets_proven);
}

static const mn_step *step_of(const mn_plan *plan, uint32_t node)
{
    for (uint32_t t = 0; t < plan->step_count; t++)
        if (plan->steps[t].node == node)
            return &plan->steps[t];
    return NULL;
}

/* Both convolutions write into the concat: 128 + 512 bytes and no third step. With the first one
 * apart the copy would need 256 + 512. */
static void test_slices(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t both = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    mn_graph *graph = tool_finish_one(&t, both);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 640);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->buffer_count, 2);
    assert_view(plan, a, 0, 8);
    assert_view(plan, b, 4, 8);
    assert_view(plan, both, 0, 8);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Three kernels write into the outer concat; the last of them still reads x: 128 + 640. */
static void test_nested(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_window(&t, MN_PRIM_MAX_POOL, x, 0, 3, 1);
    uint32_t inner = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    uint32_t c = tool_conv(&t, x, 4);
    uint32_t outer = tool_pair(&t, MN_PRIM_CONCAT, c, inner);
    mn_graph *graph = tool_finish_one(&t, outer);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 128 + 640);
    assert_int_equal(plan->step_count, 3);
    assert_view(plan, c, 0, 10);
    assert_view(plan, inner, 4, 10);
    assert_view(plan, a, 4, 10);
    assert_view(plan, b, 8, 10);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The inner concat is read by a convolution that the outer one takes as well. By slices throughout:
 * x 128 and outer 768 while b is written. Inner apart would be copied: inner 512 and outer 768. */
static void test_nested_with_a_reader(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t inner = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    uint32_t c = tool_conv(&t, inner, 4);
    uint32_t outer = tool_pair(&t, MN_PRIM_CONCAT, inner, c);
    mn_graph *graph = tool_finish_one(&t, outer);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 128 + 768);
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->buffer_count, 2);
    assert_view(plan, b, 4, 12);
    assert_view(plan, c, 8, 12);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The graph's input stays dense, so the concat copies it beside the convolution's slice. */
static void test_input_is_copied(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t both = tool_pair(&t, MN_PRIM_CONCAT, x, a);
    mn_graph *graph = tool_finish_one(&t, both);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 128 + 384);
    assert_int_equal(plan->step_count, 2);
    assert_int_equal(plan->steps[1].node, both);
    assert_false(plan->steps[1].in_place);
    assert_view(plan, x, 0, 2);
    assert_view(plan, a, 2, 6);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* Twice the same value, and an output that a concat reads: both are copied. Whether a lies in its
 * first slice (while b is written: x 256, all 768, b) or is copied as well (a, b, all): 1280. */
static void test_what_cannot_be_a_slice(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){a, a, b});
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){all, b});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256 + 256 + 768);
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->steps[2].node, all);
    assert_view(plan, b, 0, 4);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* What a reshape looks at is dense, and so are concats that are an output or are reshaped: the
 * inner concat has a buffer of its own, with a in it, and the outer one copies it. */
static void test_reshaped_concat(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t b = tool_conv(&t, x, 2);
    uint32_t inner = tool_pair(&t, MN_PRIM_CONCAT, a, b);
    uint32_t flat = tool_reshape(&t, inner, (mn_shape){1, 1, 96});
    uint32_t outer = tool_pair(&t, MN_PRIM_CONCAT, inner, inner);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){outer, flat});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 384 + 768);
    assert_in(plan, a, inner);
    assert_in(plan, flat, inner);
    assert_view(plan, b, 4, 6);
    assert_int_not_equal(plan->views[inner].buffer, plan->views[outer].buffer);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A wide map between an early part and eight late ones. By slices from the start there would be the
 * concat 2304 beside the wide map 4096; so the early part, 256, is copied in the end: early, wide,
 * and what is made of wide. */
static void test_early_part_is_copied(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 4);
    uint32_t early = tool_conv(&t, x, 4);
    uint32_t wide = tool_conv(&t, early, 64);
    uint32_t parts[9] = {early, tool_conv(&t, tool_conv(&t, wide, 4), 4)};
    for (int i = 2; i < 9; i++)
        parts[i] = tool_conv(&t, parts[i - 1], 4);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 9, parts);
    mn_graph *graph = tool_finish_one(&t, all);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256 + 4096 + 256);
    assert_view(plan, early, 0, 4);
    assert_non_null(step_of(plan, all));
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/*
 * Slices opened late. early 256 -> wide 4096 -> b 2048 -> c 2048, all of (early, b, c) 4352:
 *   by slices from the start, at wide: all 4352 + wide 4096                    = 8448
 *   opened at b:                       early 256 + wide 4096 + all 4352        = 8704
 *   by copies, at the copy:            early 256 + b 2048 + c 2048 + all 4352  = 8704
 *   opened at c, the others copied:    early 256 + wide 4096 + b 2048          = 6400 at b,
 *                                      early 256 + b 2048 + all 4352           = 6656 from c on.
 */
static void test_opened_late(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t early = tool_conv(&t, tool_input(&t, 4, 4, 4), 4);
    uint32_t wide = tool_conv(&t, early, 64);
    uint32_t b = tool_conv(&t, wide, 32);
    uint32_t c = tool_conv(&t, b, 32);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){early, b, c});
    mn_graph *graph = tool_finish_one(&t, all);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256 + 2048 + 4352);
    assert_view(plan, early, 0, 4);
    assert_view(plan, b, 0, 32);
    assert_view(plan, c, 36, 68);
    assert_in(plan, c, all);
    assert_int_equal(step_of(plan, b)->live_bytes, 6400);
    assert_int_equal(step_of(plan, c)->live_bytes, 6656);
    assert_int_equal(step_of(plan, all)->live_bytes, 6656);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/*
 * Copies altogether: a 64 -> wide 4096 -> b 64 -> wide 4096 -> c 64, and all of them 192. c is an
 * output as well, and so never a slice. While c is written: all 192 + wide + c if one of the others
 * is a slice, a + b + wide + c if none is.
 */
static void test_all_copied(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t a = tool_conv(&t, tool_input(&t, 4, 4, 1), 1);
    uint32_t b = tool_conv(&t, tool_conv(&t, a, 64), 1);
    uint32_t c = tool_conv(&t, tool_conv(&t, b, 64), 1);
    uint32_t all = tool_join(&t, MN_PRIM_CONCAT, 3, (uint32_t[]){a, b, c});
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){all, c});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 64 + 64 + 4096 + 64);
    assert_view(plan, a, 0, 1);
    assert_view(plan, b, 0, 1);
    assert_view(plan, c, 0, 1);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/*
 * sum = a + b accumulates into a, which dies, inside of the concat: b 256 and sum 256 in all 512.
 * x 128 + all 512 = 640 while b is written. Elsewhere there would be 768: a apart beside all, or b.
 */
static void test_add_accumulates_in_a_slice(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t a = tool_conv(&t, b, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    uint32_t all = tool_pair(&t, MN_PRIM_CONCAT, b, sum);
    mn_graph *graph = tool_finish_one(&t, all);
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 128 + 512);
    assert_int_equal(plan->buffer_count, 2);
    assert_view(plan, b, 0, 8);
    assert_view(plan, a, 4, 8);
    assert_view(plan, sum, 4, 8);
    assert_true(step_of(plan, sum)->in_place);
    assert_int_equal(step_of(plan, sum)->live_bytes, 512);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* The same with a that lives on, as an output: the sum lies in the slice, but beside a. At the sum
 * there are a 256 and all 512; x 128 is gone. */
static void test_add_spares_what_lives_on(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t a = tool_conv(&t, b, 4);
    uint32_t sum = tool_pair(&t, MN_PRIM_ADD, a, b);
    uint32_t all = tool_pair(&t, MN_PRIM_CONCAT, b, sum);
    mn_graph *graph = tool_finish(&t, 2, (uint32_t[]){all, a});
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 256 + 512);
    assert_view(plan, a, 0, 4);
    assert_false(step_of(plan, sum)->in_place);
    mn_plan_free(plan);
    mn_graph_free(graph);
}

/* A depthwise convolution over its input inside of a slice, the rows 48 in scratch. While x is
 * still read: x 128 + all 512; the rows come after that. */
static void test_depthwise_in_a_slice(void **state)
{
    (void)state;
    tool t = tool_start();
    uint32_t x = tool_input(&t, 4, 4, 2);
    uint32_t a = tool_conv(&t, x, 4);
    uint32_t rows = tool_depthwise(&t, a);
    uint32_t b = tool_conv(&t, x, 4);
    uint32_t all = tool_pair(&t, MN_PRIM_CONCAT, rows, b);
    mn_graph *graph = tool_finish_one(&t, all);
    depthwise_in_place_scratch = 48;
    mn_plan *plan = sim_plan(graph, NULL);
    assert_proven(plan, 128 + 512);
    assert_view(plan, a, 0, 8);
    assert_view(plan, rows, 0, 8);
    assert_true(step_of(plan, rows)->in_place);
    assert_int_equal(step_of(plan, rows)->live_bytes, 512 + 48);
    assert_int_equal(plan->buffers[step_of(plan, rows)->scratch].bytes, 48);
    mn_plan_free(plan);
    mn_graph_free(graph);
    depthwise_in_place_scratch = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_nested_with_a_reader),
        cmocka_unit_test(test_input_is_copied),
        cmocka_unit_test(test_what_cannot_be_a_slice),
        cmocka_unit_test(test_reshaped_concat),
        cmocka_unit_test(test_early_part_is_copied),
        cmocka_unit_test(test_opened_late),
        cmocka_unit_test(test_all_copied),
        cmocka_unit_test(test_add_accumulates_in_a_slice),
        cmocka_unit_test(test_add_spares_what_lives_on),
        cmocka_unit_test(test_depthwise_in_a_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
