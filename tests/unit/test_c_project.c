/* What mn_emit_c() refuses: plan, tensors and model that do not belong to the graph. Nothing may be
 * written then. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "alloc_failure.h"
#include "base/file.h"
#include "emit_network.h"

static network net;
static char root[64];
static char folder[96];

static int set_up(void **state)
{
    alloc_failure_setup(state);
    network_init(&net);
    snprintf(root, sizeof root, "/tmp/memnet-project-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    snprintf(folder, sizeof folder, "%s/out", root);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    network_done(&net);
    return mn_folder_remove(root, NULL) != MN_OK;
}

static void test_wrong_plan(void **state)
{
    (void)state;
    mn_error err;
    mn_emit_input input = network_input(&net);
    mn_plan good = net.plan;

    net.plan.weights_bytes += 4;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "bytes of weights");
    net.plan = good;
    net.plan.precision = MN_PRECISION_INT8;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "float32");
    net.plan = good;
    net.plan.value_count--;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "nodes");
    net.plan = good;
    net.plan.arena_bytes = 16;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "does not fit");
    net.plan = good;
    for (uint32_t n = 0; n < net.plan.value_count; n++) {
        mn_view view = net.plan.views[n];
        net.plan.views[n].channel_offset += 100000;
        assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "does not fit");
        net.plan.views[n] = view;
        net.plan.views[n].buffer = MN_NONE;
        assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "no place");
        net.plan.views[n] = view;
    }
    assert_false(mn_path_exists(folder));
}

static mn_step *step_of(const char *name)
{
    for (uint32_t s = 0; s < net.plan.step_count; s++)
        if (strcmp(mn_graph_node(net.graph, net.plan.steps[s].node)->name, name) == 0)
            return &net.plan.steps[s];
    fail_msg("no step of '%s'", name);
    return NULL;
}

/* Depthwise convolutions that the plan writes over their inputs. */
static void test_wrong_in_place(void **state)
{
    (void)state;
    mn_error err;
    mn_emit_input input = network_input(&net);
    mn_step *apart = step_of("block0.cell0.op0.depthwise");
    mn_step *over = step_of("over");
    mn_view *view = &net.plan.views[over->node];
    mn_plan_buffer *scratch = &net.plan.buffers[over->scratch];
    mn_step good = *over;
    mn_view good_view = *view;
    mn_plan_buffer good_scratch = *scratch;

    apart->in_place = true;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "in place");
    apart->in_place = false;
    view->buffer = over->node; /* not where its input lies */
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "in place");
    *view = good_view;
    view->pixel_stride++; /* there, but at other steps */
    net.plan.buffers[view->buffer].bytes *= 2;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "in place");
    net.plan.buffers[view->buffer].bytes /= 2;
    *view = good_view;

    over->scratch = MN_NONE;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "no scratch");
    over->scratch = net.plan.buffer_count;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "no scratch");
    *over = good;
    scratch->bytes -= 4;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "its scratch of");
    *scratch = good_scratch;
    scratch->offset += 2;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "its scratch of");
    scratch->offset = net.plan.arena_bytes - scratch->bytes + 4;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "its scratch of");
    scratch->offset = net.plan.arena_bytes + 4;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "its scratch of");
    *scratch = good_scratch;
    assert_false(mn_path_exists(folder));
    assert_ok(mn_emit_c(&input, folder, &err), &err); /* all of that was the reason */
    assert_ok(mn_folder_remove(folder, &err), &err);
}

/* The kernel cannot shrink an image in place, however much scratch it is given. */
static void test_strided_in_place(void **state)
{
    (void)state;
    mn_error err;
    network strided;
    network_init_strided(&strided);
    mn_emit_input input = network_input(&strided);
    mn_step *half = &strided.plan.steps[0];
    half->in_place = true;
    half->scratch = strided.plan.views[half->node].buffer;
    strided.plan.views[half->node] = strided.plan.views[0];
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_INTERNAL, &err, "in place");
    half->in_place = false;
    assert_ok(mn_emit_c(&input, folder, &err), &err);
    assert_ok(mn_folder_remove(folder, &err), &err);
    network_done(&strided);
}

static void test_wrong_model_or_tensors(void **state)
{
    (void)state;
    mn_error err;
    mn_emit_input input = network_input(&net);
    net.model.class_count--;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "classes");
    net.model.class_count++;
    net.model.preprocessing.scale = NAN;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_ARG, &err, "finite");
    net.model.preprocessing.scale = NET_SCALE;

    net.tensors.count--;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "tensors");
    net.tensors.count++;
    mn_tensor *last = &net.tensors.items[net.tensors.count - 1];
    float *numbers = last->data;
    float number = numbers[0];
    numbers[0] = INFINITY;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_UNSUPPORTED, &err, "not finite");
    numbers[0] = number;
    last->dims[0]++;
    assert_error(mn_emit_c(&input, folder, &err), MN_ERR_MISMATCH, &err, "expected float32");
    last->dims[0]--;
    assert_false(mn_path_exists(folder));
    assert_ok(mn_emit_c(&input, folder, &err), &err); /* all of that was the reason */
    assert_ok(mn_folder_remove(folder, &err), &err);
}

/* Whichever allocation fails, the error says so and neither folder nor stage is left. */
static void fail_allocations(const network *n)
{
    mn_error err;
    mn_emit_input input = network_input(n);
    size_t failures = 0;
    for (bool failed = true; failed; failures++) {
        alloc_fail_at(failures + 1);
        mn_status status = mn_emit_c(&input, folder, &err);
        failed = alloc_has_failed();
        if (!failed)
            assert_int_equal(status, MN_OK);
        else if (status != MN_ERR_NOMEM)
            fail_msg("allocation %zu: status %d: %s", failures + 1, (int)status, err.message);
        else
            assert_int_equal(rmdir(root), 0); /* it is empty */
        assert_ok(mn_folder_make(root, &err), &err);
    }
    assert_true(failures > 50);
    assert_ok(mn_folder_remove(folder, &err), &err);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    fail_allocations(&net);
}

static void test_allocation_failures_int8(void **state)
{
    (void)state;
    network int8;
    network_init(&int8);
    network_quantise(&int8, 1);
    fail_allocations(&int8);
    network_done(&int8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_plan),
        cmocka_unit_test(test_wrong_in_place),
        cmocka_unit_test(test_strided_in_place),
        cmocka_unit_test(test_wrong_model_or_tensors),
        cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_allocation_failures_int8),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
