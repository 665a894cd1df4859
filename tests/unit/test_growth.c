/* Children that grow compute what their parents compute, on images, in float32; and nothing that
 * starts at zero stays there. */
#include "genotype_samples.h"
#include "train_fixture.h"

#include <math.h>

#include "memnet/moves.h"
#include "train/trainer.h"

static tiny_data data;

static int set_up(void **state)
{
    (void)state;
    tiny_data_init(&data);
    return 0;
}

/* ---- parents --------------------------------------------------------------------------------- */

/* Residual cells, a concat, a block whose output is one cell as wide as the block, which the next
 * block links to. */
static mn_genotype linked(void)
{
    mn_genotype g = {.input = {tiny_h, tiny_w, tiny_c}, .classes = tiny_classes, .block_count = 3};
    g.stem = (mn_stem){.width = 4, .stride = 2};
    g.head = MN_HEAD_MAXPOOL2;
    for (uint32_t b = 0; b < 3; b++)
        g.blocks[b] = (mn_block){.stride = b == 1 ? 2 : 1, .width = 4, .cell_count = 1};
    g.blocks[0].cells[0] = (mn_cell){.op = {MN_OP_IDENTITY, MN_OP_MBCONV_3X3_E3}, .out = true};
    g.blocks[1].cells[0] = (mn_cell){.op = {MN_OP_CONV_1X1, MN_OP_SEPARABLE_3X3}, .out = true};
    g.blocks[2].cells[0] = (mn_cell){
        .op = {MN_OP_IDENTITY, MN_OP_CONV_1X1}, .combine = MN_COMBINE_CONCAT, .out = true};
    g.blocks[2].cells[g.blocks[2].cell_count++] =
        (mn_cell){.in = {0, 1}, .op = {MN_OP_MBCONV_3X3_E6, MN_OP_MAX_POOL}, .out = true};
    return g;
}

enum { parent_count = 12 };

static mn_genotype parent_number(uint32_t which)
{
    const sample_limits most = {
        .side = 9, .channels = 3, .classes = 4, .width = 6, .blocks = 3, .cells = 3};
    mn_random random = mn_random_make(which, 77);
    if (which < every_op_count)
        return tiny_every_op((int)which);
    mn_genotype g = which == every_op_count ? linked() : sample_random(&random, &most);
    g.input = (mn_shape){tiny_h, tiny_w, tiny_c};
    g.classes = tiny_classes;
    for (uint32_t b = 0; b < g.block_count; b++)
        g.blocks[b].width += g.blocks[b].width == 1;
    if (g.stem.width > 0)
        g.stem = (mn_stem){.width = g.stem.width + 1, .stride = 1};
    return g;
}

/* ---- which moves promise --------------------------------------------------------------------- */

static bool in(mn_cell_op op, const mn_cell_op *ops, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ops[i] == op)
            return true;
    return false;
}

/* Whether kernel or expansion grows. The windows of a dilated kernel with a stride do not always
 * meet that of one pixel. */
static bool op_grows(mn_cell_op from, mn_cell_op to)
{
    static const mn_cell_op e3[] = {MN_OP_MBCONV_3X3_E6, MN_OP_MBCONV_5X5_E3, MN_OP_MBCONV_5X5_E6};
    if (from == MN_OP_CONV_1X1)
        return to == MN_OP_CONV_3X3;
    if (from == MN_OP_SEPARABLE_3X3)
        return to == MN_OP_SEPARABLE_5X5;
    if (from == MN_OP_MBCONV_3X3_E3)
        return in(to, e3, 3);
    return (from == MN_OP_MBCONV_3X3_E6 || from == MN_OP_MBCONV_5X5_E3) &&
           to == MN_OP_MBCONV_5X5_E6;
}

static bool replaced_by_larger(const mn_genotype *parent, const mn_genotype *child)
{
    for (uint32_t b = 0; b < parent->block_count; b++)
        for (uint32_t k = 0; k < parent->blocks[b].cell_count; k++)
            for (uint32_t slot = 0; slot < 2; slot++) {
                mn_cell_op from = parent->blocks[b].cells[k].op[slot];
                mn_cell_op to = child->blocks[b].cells[k].op[slot];
                if (from != to)
                    return op_grows(from, to);
            }
    return false;
}

/* A projection that became a plain link. */
static bool lost_projection(const mn_graph *parent, const mn_graph *child, const mn_layer_map *map)
{
    for (uint32_t n = 0; n < mn_graph_node_count(child); n++) {
        const mn_node *node = mn_graph_node(child, n);
        if (node->prim != MN_PRIM_IDENTITY || map->parent[node->layer] == MN_NONE)
            continue;
        for (uint32_t p = 0; p < mn_graph_node_count(parent); p++)
            if (mn_graph_node(parent, p)->layer == map->parent[node->layer] &&
                mn_graph_node(parent, p)->prim == MN_PRIM_CONV)
                return true;
    }
    return false;
}

/* The new block of an add-block is as wide as what it reads: its link is plain. */
static bool has_plain_link(const mn_graph *child, const mn_layer_map *map)
{
    for (uint32_t n = 0; n < mn_graph_node_count(child); n++) {
        const mn_node *node = mn_graph_node(child, n);
        if (node->prim == MN_PRIM_IDENTITY && map->parent[node->layer] == MN_NONE)
            return true;
    }
    return false;
}

static bool promises(const mn_genotype *parent, const mn_candidate *child, const mn_graph *graph)
{
    switch ((int)child->kind) {
    case MN_MOVE_AUGMENT:
    case MN_MOVE_AUGMENT_BLOCK:
    case MN_MOVE_DEEPEN:
    case MN_MOVE_WIDEN:
        return true;
    case MN_MOVE_ADD_BLOCK:
        return has_plain_link(graph, &child->map);
    case MN_MOVE_REPLACE:
        return replaced_by_larger(parent, &child->genotype);
    case MN_MOVE_STEM:
        return child->genotype.stem.width > parent->stem.width && parent->stem.width > 0;
    default:
        return false;
    }
}

/* ---- logits ---------------------------------------------------------------------------------- */

/* The logits of all test images; (tiny_test,classes). */
static void evaluate(const mn_graph *graph, const mn_tensors *tensors, float *ret_logits)
{
    mn_error err;
    mn_eval_result result;
    mn_trainer_setup setup = {.graph = graph,
                              .preprocessing = data.preprocessing,
                              .initial = tensors,
                              .opts = mn_train_opts_default()};
    setup.opts.batch = tiny_test;
    setup.opts.compute = MN_COMPUTE_FLOAT32;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_evaluate(
                  trainer, &data.dataset, &data.dataset.test, NULL, 0, &result, NULL, &err),
              &err);
    memcpy(ret_logits, trainer->net->logits, tiny_test * tiny_classes * sizeof *ret_logits);
    mn_trainer_free(trainer);
}

static bool is_zero(const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] != 0.0f)
            return false;
    return true;
}

/* Of the scales and the kernels (of a filter and a channel) that start at zero, nearly all have
 * moved after an epoch of a few steps. Not all need to: a channel may be dead. Returns how many
 * there were. */
static size_t check_learns(const mn_graph *graph, const mn_tensors *initial, const char *what)
{
    mn_error err;
    mn_epoch_result result;
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.initial = initial;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
    mn_tensors *after = tiny_tensors(trainer);
    size_t all = 0;
    for (uint32_t t = 0; t < after->count; t++) {
        const mn_tensor_info *info = mn_graph_tensor(graph, t);
        const size_t taps = (size_t)info->dims[2] * info->dims[3];
        size_t zero = 0;
        size_t still = 0;
        if (info->role != MN_ROLE_WEIGHT && info->role != MN_ROLE_GAMMA)
            continue;
        for (size_t i = 0; i < mn_graph_tensor_elements(graph, t); i += taps) {
            bool starts = is_zero((const float *)initial->items[t].data + i, taps);
            zero += starts;
            still += starts && is_zero((const float *)after->items[t].data + i, taps);
        }
        if (still * 4 > zero)
            fail_msg("%s: %s: %zu of %zu stay zero", what, info->name, still, zero);
        all += zero;
    }
    mn_tensors_free(after);
    mn_trainer_free(trainer);
    return all;
}

/* Children that compute what their parents do, and what began at zero in those that were trained.
 */
typedef struct tally {
    size_t kept[MN_MOVE_COUNT];
    size_t zeros[MN_MOVE_COUNT];
} tally;

static void check_child(const mn_genotype *parent_genotype,
                        const mn_graph *parent,
                        const mn_tensors *parent_tensors,
                        const float *expected,
                        const mn_candidate *child,
                        bool learns,
                        tally *sum)
{
    mn_error err;
    float logits[tiny_test * tiny_classes];
    char what[512];
    mn_graph *graph = tiny_lower(&child->genotype);
    mn_tensors *tensors = NULL;
    char *json = NULL;
    if (!promises(parent_genotype, child, graph) || lost_projection(parent, graph, &child->map)) {
        mn_graph_free(graph);
        return;
    }
    assert_ok(mn_genotype_print(&child->genotype, 0, &json, &err), &err);
    snprintf(what, sizeof what, "%s: %s", mn_move_name(child->kind), json);
    assert_ok(
        mn_tensors_inherit(
            graph, child->map.parent, child->map.count, parent, parent_tensors, 5, &tensors, &err),
        &err);
    evaluate(graph, tensors, logits);
    for (uint32_t i = 0; i < tiny_test * tiny_classes; i++)
        if (!(fabsf(logits[i] - expected[i]) <= 1e-4f * (1.0f + fabsf(expected[i]))))
            fail_msg(
                "%s: logit %u: %g, expected %g", what, i, (double)logits[i], (double)expected[i]);
    if (learns)
        sum->zeros[child->kind] += check_learns(graph, tensors, what);
    sum->kept[child->kind]++;
    free(json);
    mn_tensors_free(tensors);
    mn_graph_free(graph);
}

/* Kinds of which some children or all promise. */
static const mn_move_kind kinds[] = {MN_MOVE_AUGMENT,
                                     MN_MOVE_AUGMENT_BLOCK,
                                     MN_MOVE_DEEPEN,
                                     MN_MOVE_ADD_BLOCK,
                                     MN_MOVE_WIDEN,
                                     MN_MOVE_REPLACE,
                                     MN_MOVE_STEM};

enum { kind_count = sizeof kinds / sizeof kinds[0] };

/* Some children of every kind that promises. */
static void check_family(uint32_t which, tally *sum)
{
    mn_error err;
    float expected[tiny_test * tiny_classes];
    mn_space space = mn_space_default();
    mn_genotype genotype = parent_number(which);
    mn_graph *parent = tiny_lower(&genotype);
    mn_tensors *tensors = tiny_random_tensors(parent, which);
    evaluate(parent, tensors, expected);
    for (size_t i = 0; i < kind_count; i++) {
        mn_candidates *list = NULL;
        assert_ok(mn_moves_neighbours(&space, &genotype, MN_MOVE_BIT(kinds[i]), &list, &err), &err);
        size_t step =
            kinds[i] == MN_MOVE_REPLACE || kinds[i] == MN_MOVE_STEM ? 1 : list->count / 9 + 1;
        for (size_t c = which % step; c < list->count; c += step)
            check_child(&genotype,
                        parent,
                        tensors,
                        expected,
                        &list->items[c],
                        step == 1 || c / step % 3 == 0,
                        sum);
        mn_candidates_free(list);
    }
    mn_tensors_free(tensors);
    mn_graph_free(parent);
}

static void test_growth(void **state)
{
    (void)state;
    tally sum = {0};
    for (uint32_t which = 0; which < parent_count; which++)
        check_family(which, &sum);
    for (size_t i = 0; i < kind_count; i++) {
        assert_true(sum.kept[kinds[i]] >= 5);
        assert_true(sum.zeros[kinds[i]] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
