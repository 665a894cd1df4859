/* Inheritance against a plain reference that pushes a marker from every channel of every layer
 * through both graphs, and against columns worked out by hand. */
#include "test.h"

#include "genotype_samples.h"
#include "memnet/moves.h"
#include "memnet/train.h"
#include "tensors_check.h"

enum { seed = 77, max_copies = 64 };

/* Parent, child and their numbers. */
typedef struct family {
    mn_graph *parent, *child;
    mn_tensors *parent_tensors; /* numbers that occur once each */
    mn_tensors *random;         /* what the child would be without a parent */
    mn_tensors *inherited;
    const mn_layer_map *map;
} family;

static mn_graph *lower(const mn_genotype *genotype)
{
    mn_graph *graph = NULL;
    mn_error err;
    assert_ok(mn_genotype_lower(genotype, &graph, &err), &err);
    return graph;
}

static mn_tensors *numbered(const mn_graph *graph)
{
    mn_tensors *tensors = NULL;
    mn_error err;
    float number = 1000.0f;
    assert_ok(mn_tensors_create_for_graph(graph, &tensors, &err), &err);
    for (uint32_t t = 0; t < tensors->count; t++)
        for (size_t i = 0; i < mn_graph_tensor_elements(graph, t); i++)
            ((float *)tensors->items[t].data)[i] = number++;
    assert_true(number < 16777216.0f);
    return tensors;
}

static family inherit(const mn_genotype *parent, const mn_genotype *child, const mn_layer_map *map)
{
    mn_error err;
    family f = {.parent = lower(parent), .child = lower(child), .map = map};
    f.parent_tensors = numbered(f.parent);
    assert_ok(mn_tensors_initialise(f.child, seed, &f.random, &err), &err);
    assert_ok(
        mn_tensors_inherit(
            f.child, map->parent, map->count, f.parent, f.parent_tensors, seed, &f.inherited, &err),
        &err);
    return f;
}

static void family_done(family *f)
{
    mn_tensors_free(f->inherited);
    mn_tensors_free(f->random);
    mn_tensors_free(f->parent_tensors);
    mn_graph_free(f->child);
    mn_graph_free(f->parent);
}

/* ---- the reference -------------------------------------------------------------------------- */

static bool is_dense_or_join(const mn_node *node)
{
    bool depthwise = node->prim == MN_PRIM_CONV && node->groups > 1;
    return (node->prim == MN_PRIM_CONV && !depthwise) || node->prim == MN_PRIM_ADD ||
           node->prim == MN_PRIM_FULLY_CONNECTED || node->prim == MN_PRIM_INPUT;
}

/* Puts a marker on channel `channel` of node `source`, pushes it through the graph and lists the
 * channels of value `value` that carry it; returns how many. */
static uint32_t push_marker(
    const mn_graph *graph, uint32_t source, uint32_t channel, uint32_t value, uint32_t *ret_list)
{
    uint32_t nodes = mn_graph_node_count(graph);
    bool **marks = calloc(nodes, sizeof *marks);
    uint32_t count = 0;
    for (uint32_t n = 0; n <= value; n++) {
        const mn_node *node = mn_graph_node(graph, n);
        uint32_t at = 0;
        marks[n] = calloc(node->shape.c, sizeof **marks);
        if (n == source)
            marks[n][channel] = true;
        if (is_dense_or_join(node))
            continue;
        for (uint32_t i = 0; i < node->input_count; i++)
            for (uint32_t k = 0; k < mn_graph_node(graph, node->inputs[i])->shape.c; k++)
                marks[n][at++] = marks[node->inputs[i]][k];
    }
    for (uint32_t k = 0; k < mn_graph_node(graph, value)->shape.c; k++)
        if (marks[value][k]) {
            assert_true(count < max_copies);
            ret_list[count++] = k;
        }
    for (uint32_t n = 0; n <= value; n++)
        free(marks[n]);
    free(marks);
    return count;
}

/* True when the child's dense node or join makes what the parent's does. */
static bool same_feature(const family *f, const mn_node *child, const mn_node *parent)
{
    if (child->prim == MN_PRIM_INPUT || parent->prim == MN_PRIM_INPUT)
        return child->prim == parent->prim;
    return child->layer < f->map->count && parent->layer != MN_NONE &&
           f->map->parent[child->layer] == parent->layer;
}

/* map[k]: the channel of the parent's value that channel k of the child's continues. */
static void
reference_map(const family *f, uint32_t child_value, uint32_t parent_value, uint32_t *map)
{
    uint32_t here[max_copies], there[max_copies];
    for (uint32_t k = 0; k < mn_graph_node(f->child, child_value)->shape.c; k++)
        map[k] = MN_NONE;
    for (uint32_t a = 0; a <= child_value; a++) {
        const mn_node *source = mn_graph_node(f->child, a);
        for (uint32_t k = 0; is_dense_or_join(source) && k < source->shape.c; k++) {
            uint32_t copies = push_marker(f->child, a, k, child_value, here);
            uint32_t used = 0;
            for (uint32_t b = 0; b <= parent_value && copies > 0; b++) {
                const mn_node *other = mn_graph_node(f->parent, b);
                if (!is_dense_or_join(other) || k >= other->shape.c ||
                    !same_feature(f, source, other))
                    continue;
                uint32_t offers = push_marker(f->parent, b, k, parent_value, there);
                for (uint32_t i = 0; i < offers && used < copies; i++)
                    map[here[used++]] = there[i];
            }
        }
    }
}

/* The parent's node in the same place of the mapped layer, if it is of the same kind. */
static uint32_t reference_node(const family *f, uint32_t n)
{
    const mn_node *node = mn_graph_node(f->child, n);
    uint32_t place = 0;
    if (node->layer >= f->map->count || f->map->parent[node->layer] == MN_NONE)
        return MN_NONE;
    for (uint32_t k = 0; k < n; k++)
        place += mn_graph_node(f->child, k)->layer == node->layer;
    for (uint32_t k = 0; k < mn_graph_node_count(f->parent); k++) {
        const mn_node *other = mn_graph_node(f->parent, k);
        if (other->layer != f->map->parent[node->layer] || place-- > 0)
            continue;
        bool alike =
            (other->prim == node->prim && (other->groups == 1) == (node->groups == 1)) ||
            (node->prim == MN_PRIM_CONV && node->groups == 1 && other->prim == MN_PRIM_IDENTITY);
        return alike ? k : MN_NONE;
    }
    return MN_NONE;
}

/* True when a projection of the child stands where the parent has a plain link: then features go
 * another way than markers do. What such children compute: test_growth.c. */
static bool replaces_link(const family *f)
{
    for (uint32_t n = 0; n < mn_graph_node_count(f->child); n++) {
        uint32_t other = reference_node(f, n);
        if (other != MN_NONE && mn_graph_node(f->parent, other)->prim == MN_PRIM_IDENTITY &&
            mn_graph_node(f->child, n)->prim == MN_PRIM_CONV)
            return true;
    }
    return false;
}

/* Every number of one tensor: the parent's where row and column continue, zero in further columns
 * of a row that continues when some column does, else random. */
static uint32_t check_tensor(const family *f, uint32_t t, uint32_t other_node, const uint32_t *map)
{
    const mn_tensor_info *info = mn_graph_tensor(f->child, t);
    const mn_node *node = mn_graph_node(f->child, info->node);
    uint32_t p =
        other_node == MN_NONE ? MN_NONE : mn_graph_node(f->parent, other_node)->tensors[info->role];
    const mn_tensor_info *from = p == MN_NONE ? NULL : mn_graph_tensor(f->parent, p);
    bool by_channel = node->prim == MN_PRIM_BATCH_NORM || node->groups > 1;
    bool taps_fit =
        from != NULL && from->dims[2] == info->dims[2] && from->dims[3] == info->dims[3];
    uint32_t taps = info->dims[2] * info->dims[3];
    uint32_t taken = 0;
    uint32_t known = by_channel || info->role != MN_ROLE_WEIGHT;
    for (uint32_t c = 0; from != NULL && !by_channel && c < info->dims[1]; c++)
        known += info->role == MN_ROLE_WEIGHT && map[c] < from->dims[1];
    for (uint32_t i = 0; i < info->dims[0] * info->dims[1] * taps; i++) {
        uint32_t row = i / taps / info->dims[1];
        uint32_t column = i / taps % info->dims[1];
        float expected = ((float *)f->random->items[t].data)[i];
        if (by_channel)
            row = map[row];
        else if (info->role == MN_ROLE_WEIGHT)
            column = map[column];
        if (taps_fit && row < from->dims[0] && column >= from->dims[1] && known > 0)
            expected = 0.0f;
        if (taps_fit && row < from->dims[0] && column < from->dims[1]) {
            expected = ((float *)f->parent_tensors->items[p]
                            .data)[(row * from->dims[1] + column) * taps + i % taps];
            taken++;
        }
        float actual = ((float *)f->inherited->items[t].data)[i];
        if (actual != expected)
            fail_msg("%s[%u]: %g, expected %g", info->name, i, (double)actual, (double)expected);
    }
    return taken;
}

/* Returns how many numbers came from the parent. */
static uint32_t check_family(const family *f)
{
    uint32_t taken = 0;
    uint32_t map[4096] = {0};
    for (uint32_t t = 0; t < mn_graph_tensor_count(f->child); t++) {
        uint32_t n = mn_graph_tensor(f->child, t)->node;
        uint32_t other = reference_node(f, n);
        const mn_node *node = mn_graph_node(f->child, n);
        assert_true(mn_graph_node(f->child, node->inputs[0])->shape.c <= 4096);
        if (other != MN_NONE)
            reference_map(f, node->inputs[0], mn_graph_node(f->parent, other)->inputs[0], map);
        taken += check_tensor(f, t, other, map);
    }
    return taken;
}

/* ---- properties ----------------------------------------------------------------------------- */

/* Returns how many it checked. */
static uint32_t check_some(const mn_genotype *parent, mn_candidates *children, mn_random *random)
{
    uint32_t checked = 0;
    for (int i = 0; i < 2 && children->count > 0; i++) {
        const mn_candidate *pick =
            &children->items[mn_random_below(random, (uint32_t)children->count)];
        family f = inherit(parent, &pick->genotype, &pick->map);
        if (!replaces_link(&f)) {
            assert_true(check_family(&f) > 0);
            checked++;
        }
        family_done(&f);
    }
    mn_candidates_free(children);
    return checked;
}

static void test_random_moves(void **state)
{
    (void)state;
    const sample_limits most = {
        .side = 6, .channels = 3, .classes = 3, .width = 4, .blocks = 2, .cells = 3};
    mn_random random = mn_random_make(5, 9);
    uint32_t checked = 0;
    for (int round = 0; round < 12; round++) {
        mn_genotype parent = sample_random(&random, &most);
        mn_candidates *children = NULL;
        mn_error err;
        assert_ok(mn_moves_augment(&parent, &children, &err), &err);
        checked += check_some(&parent, children, &random);
        assert_ok(mn_moves_trim(&parent, &children, &err), &err);
        checked += check_some(&parent, children, &random);
    }
    assert_true(checked >= 36); /* of 48 */
}

/* Trims of trims: identities pile up, so that values carry the same feature several times. */
static void test_many_trims(void **state)
{
    (void)state;
    mn_random random = mn_random_make(6, 1);
    mn_genotype parent = {.input = {5, 5, 3}, .classes = 3, .block_count = 2};
    for (uint32_t b = 0; b < 2; b++)
        parent.blocks[b] = (mn_block){.stride = 1, .width = 3};
    sample_append(&parent, 0, MN_OP_CONV_3X3, 0, MN_OP_MAX_POOL, MN_COMBINE_CONCAT);
    sample_append(&parent, 0, MN_OP_SEPARABLE_3X3, 1, MN_OP_DILATED_CONV, MN_COMBINE_CONCAT);
    for (int step = 0; step < 9; step++) {
        mn_candidates *children = NULL;
        mn_error err;
        assert_ok(mn_moves_trim(&parent, &children, &err), &err);
        if (children->count > 0) {
            const mn_candidate *pick =
                &children->items[mn_random_below(&random, (uint32_t)children->count)];
            family f = inherit(&parent, &pick->genotype, &pick->map);
            assert_true(replaces_link(&f) || check_family(&f) > 0);
            family_done(&f);
            parent = pick->genotype;
        }
        mn_candidates_free(children);
    }
}

/* Each layer continues itself: nothing may move, not even among copies of one feature. */
static void check_self(const mn_genotype *genotype)
{
    uint32_t layers = mn_genotype_layer_count(genotype);
    mn_layer_map map = {.count = layers, .parent = calloc(layers, sizeof *map.parent)};
    for (uint32_t i = 0; i < layers; i++)
        map.parent[i] = i;
    family f = inherit(genotype, genotype, &map);
    assert_tensors_equal(f.inherited, f.parent_tensors);
    family_done(&f);
    mn_layer_map_done(&map);
}

static void test_same_genotype(void **state)
{
    (void)state;
    const sample_limits most = {
        .side = 6, .channels = 5, .classes = 5, .width = 6, .blocks = 3, .cells = 5};
    mn_random random = mn_random_make(2, 2);
    for (int round = 0; round < 40; round++) {
        mn_genotype genotype = sample_random(&random, &most);
        check_self(&genotype);
    }
    /* Two copies of the image and of every cell's output, told apart by nothing but their place. */
    mn_genotype twins = {.input = {4, 4, 3}, .classes = 3, .block_count = 2};
    for (uint32_t b = 0; b < 2; b++)
        twins.blocks[b] = (mn_block){.stride = 1, .width = 3};
    sample_append(&twins, 0, MN_OP_IDENTITY, 0, MN_OP_IDENTITY, MN_COMBINE_CONCAT);
    sample_append(&twins, 1, MN_OP_CONV_3X3, 1, MN_OP_SEPARABLE_3X3, MN_COMBINE_ADD);
    check_self(&twins);
}

/* ---- by hand -------------------------------------------------------------------------------- */

static const mn_tensor *tensor(const mn_tensors *tensors, const char *name)
{
    uint32_t found = mn_tensors_find(tensors, name);
    assert_int_not_equal(found, MN_NONE);
    return &tensors->items[found];
}

/* Column `column` of the child's weight equals column `from` of the parent's, in every row. */
static void
assert_column(const family *f, const char *name, uint32_t column, uint32_t from, bool equal)
{
    const mn_tensor *a = tensor(f->inherited, name);
    const mn_tensor *b = tensor(f->parent_tensors, name);
    size_t taps = (size_t)a->dims[2] * a->dims[3];
    assert_int_equal(a->dims[0], b->dims[0]);
    assert_true(column < a->dims[1] && from < b->dims[1]);
    for (size_t row = 0; row < a->dims[0]; row++) {
        const float *x = (float *)a->data + (row * a->dims[1] + column) * taps;
        const float *y = (float *)b->data + (row * b->dims[1] + from) * taps;
        assert_int_equal(memcmp(x, y, taps * sizeof(float)) == 0, equal);
    }
}

/* Two blocks of width 4; cell 1 reads cell 0. */
static mn_genotype two_cells(void)
{
    mn_genotype g = {.input = {6, 6, 3}, .classes = 5, .block_count = 2};
    g.blocks[0] = (mn_block){.stride = 1, .width = 4};
    g.blocks[1] = (mn_block){.stride = 2, .width = 4};
    sample_append(&g, 0, MN_OP_CONV_3X3, 0, MN_OP_CONV_3X3, MN_COMBINE_ADD);
    sample_append(&g, 1, MN_OP_CONV_3X3, 0, MN_OP_SEPARABLE_5X5, MN_COMBINE_CONCAT);
    return g;
}

static void test_augment_keeps_columns(void **state)
{
    (void)state;
    mn_genotype parent = two_cells();
    mn_candidates *children = NULL;
    mn_error err;
    assert_ok(mn_moves_augment(&parent, &children, &err), &err);
    for (size_t i = 0; i < children->count; i += 97) {
        family f = inherit(&parent, &children->items[i].genotype, &children->items[i].map);
        /* A block's output was 4 + 8 channels; the new cell's stand behind them. */
        for (uint32_t k = 0; k < 12; k++) {
            assert_column(&f, "block1.cell0.op0.conv.weight", k, k, true);
            assert_column(&f, "block1.cell1.op1.pw.weight", k, k, true);
            assert_column(&f, "head.fc.weight", k, k, true);
        }
        assert_true(tensor(f.inherited, "head.fc.weight")->dims[1] > 12);
        assert_column(&f, "head.fc.weight", 12, 11, false);
        family_done(&f);
    }
    mn_candidates_free(children);
}

static void test_trimmed_edge_drops_columns(void **state)
{
    (void)state;
    mn_genotype parent = two_cells();
    mn_candidates *children = NULL;
    mn_error err;
    uint32_t seen = 0;
    assert_ok(mn_moves_trim(&parent, &children, &err), &err);
    for (size_t i = 0; i < children->count; i++) {
        const mn_candidate *child = &children->items[i];
        if (child->kind != MN_MOVE_TRIM_EDGE || child->genotype.blocks[0].cells[0].out)
            continue;
        /* Block 0 yields cell 1 only: what was column 4 of block 1's readers is column 0. */
        family f = inherit(&parent, &child->genotype, &child->map);
        assert_int_equal(tensor(f.inherited, "block1.cell0.op1.conv.weight")->dims[1], 8);
        for (uint32_t k = 0; k < 8; k++) {
            assert_column(&f, "block1.cell0.op1.conv.weight", k, k + 4, true);
            assert_column(&f, "block1.cell1.op1.pw.weight", k, k + 4, true);
        }
        const float *dw = tensor(f.inherited, "block1.cell1.op1.dw.weight")->data;
        const float *old = tensor(f.parent_tensors, "block1.cell1.op1.dw.weight")->data;
        assert_memory_equal(dw, old + 4 * 25, 8 * 25 * sizeof(float));
        const float *mean = tensor(f.inherited, "block1.cell1.op1.dw_bn.mean")->data;
        const float *old_mean = tensor(f.parent_tensors, "block1.cell1.op1.dw_bn.mean")->data;
        assert_memory_equal(mean, old_mean + 4, 8 * sizeof(float));
        for (uint32_t k = 0; k < 12; k++)
            assert_column(&f, "head.fc.weight", k, k, true);
        family_done(&f);
        seen++;
    }
    assert_int_equal(seen, 1);
    mn_candidates_free(children);
}

/* Behind a new stem no channel is the image's: the readers are random, not zero. */
static void test_new_input_is_random(void **state)
{
    (void)state;
    mn_genotype parent = two_cells();
    mn_space space = mn_space_default();
    mn_candidates *children = NULL;
    mn_error err;
    assert_ok(mn_moves_neighbours(&space, &parent, MN_MOVE_BIT(MN_MOVE_STEM), &children, &err),
              &err);
    family f = inherit(&parent, &children->items[0].genotype, &children->items[0].map);
    const mn_tensor *weight = tensor(f.inherited, "block0.cell0.op0.conv.weight");
    const mn_tensor *drawn = tensor(f.random, "block0.cell0.op0.conv.weight");
    assert_memory_equal(weight->data, drawn->data, mn_tensor_elements(weight) * sizeof(float));
    family_done(&f);
    mn_candidates_free(children);
}

/* No map, or a map that is too short or points outside: random, as without a parent. */
static void test_maps_that_continue_nothing(void **state)
{
    (void)state;
    mn_genotype g = two_cells();
    uint32_t outside[64];
    for (uint32_t i = 0; i < 64; i++)
        outside[i] = i % 2 == 0 ? 1000000 + i : MN_NONE;
    const mn_layer_map maps[] = {{0, NULL}, {64, outside}};
    for (size_t i = 0; i < 2; i++) {
        family f = inherit(&g, &g, &maps[i]);
        assert_tensors_equal(f.inherited, f.random);
        family_done(&f);
    }
}

static void test_foreign_tensors(void **state)
{
    (void)state;
    mn_genotype g = two_cells();
    mn_genotype wider = g;
    wider.blocks[1].width = 5;
    mn_graph *graph = lower(&g);
    mn_graph *other = lower(&wider);
    mn_tensors *foreign = numbered(other);
    mn_tensors *few = NULL;
    mn_tensors *ret = NULL;
    mn_error err;
    assert_ok(mn_tensors_create(&few, &err), &err);
    assert_error(mn_tensors_inherit(graph, NULL, 0, graph, foreign, seed, &ret, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "parent: tensor 'block1.cell0.op0.conv.weight': expected float32 (4,12,3,3)");
    assert_error(mn_tensors_inherit(graph, NULL, 0, graph, few, seed, &ret, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "parent: 0 tensors, the network has");
    assert_null(ret);
    mn_tensors_free(few);
    mn_tensors_free(foreign);
    mn_graph_free(other);
    mn_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_moves),
        cmocka_unit_test(test_many_trims),
        cmocka_unit_test(test_same_genotype),
        cmocka_unit_test(test_augment_keeps_columns),
        cmocka_unit_test(test_trimmed_edge_drops_columns),
        cmocka_unit_test(test_new_input_is_random),
        cmocka_unit_test(test_maps_that_continue_nothing),
        cmocka_unit_test(test_foreign_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
