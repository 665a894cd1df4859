/* The larger space: every child of random networks is a network, of the number that the formulas of
 * memnet/moves.h say; mutations are neighbours; random networks keep the space. */
#include "test.h"

#include "genotype_samples.h"
#include "memnet/deploy.h"
#include "memnet/moves.h"
#include "memnet/plan.h"

static const sample_limits small = {
    .side = 9, .channels = 3, .classes = 5, .width = 9, .blocks = 4, .cells = 4};

static mn_candidates *neighbours(const mn_space *space, const mn_genotype *base, uint32_t kinds)
{
    mn_error err;
    mn_candidates *list = NULL;
    assert_ok(mn_moves_neighbours(space, base, kinds, &list, &err), &err);
    return list;
}

static bool is_grown(const mn_cell_op op)
{
    return op != MN_OP_IDENTITY;
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* Ops of the space; without identity. */
static uint32_t op_count(const mn_space *space, bool links)
{
    uint32_t count = 0;
    for (unsigned op = 0; op < MN_OP_COUNT; op++)
        count += (space->ops >> op & 1) != 0 && (links || is_grown((mn_cell_op)op));
    return count;
}

static const uint32_t table[] = {4,   8,   12,  16,  24,  32,   48,   64,   96,   128,
                                 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096};

/* One step from `width`, or 0. */
static uint32_t step(const mn_space *space, uint32_t width, bool wider)
{
    uint32_t best = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (wider && table[i] > width && best == 0)
            best = table[i];
        if (!wider && table[i] < width)
            best = table[i];
    }
    return best >= space->min_width && best <= space->max_width ? best : 0;
}

static uint32_t output_channels(const mn_block *block)
{
    uint32_t channels = 0;
    for (uint32_t k = 0; k < block->cell_count; k++)
        for (uint32_t side = 0; side < 2; side++)
            channels += block->cells[k].out && (side == 0 || block->cells[k].combine != 0)
                            ? block->width
                            : 0;
    return channels;
}

static size_t count_new_blocks(const mn_space *space, const mn_genotype *g)
{
    size_t places = 0;
    if (g->block_count >= space->max_blocks)
        return 0;
    places += g->stem.width > 0 && g->stem.width <= space->max_width;
    for (uint32_t b = 0; b < g->block_count; b++) {
        uint32_t channels = output_channels(&g->blocks[b]);
        places += channels <= space->max_width;
        places += channels != g->blocks[b].width && g->blocks[b].width <= space->max_width;
    }
    return places * op_count(space, false);
}

/* How many inputs a slot may have beside its own: tried one by one. */
static size_t count_rewired(const mn_genotype *g, uint32_t b, uint32_t k)
{
    size_t count = 0;
    for (uint32_t slot = 0; slot < 2; slot++)
        for (uint32_t in = 0; in <= k; in++) {
            mn_genotype child = *g;
            child.blocks[b].cells[k].in[slot] = in;
            count += !mn_genotype_equal(&child, g) && mn_genotype_check(&child, NULL) == MN_OK;
        }
    return count;
}

static size_t
count_in_block(const mn_space *space, const mn_genotype *g, uint32_t b, mn_move_kind kind)
{
    const mn_block *block = &g->blocks[b];
    const mn_cell *last = &block->cells[block->cell_count - 1];
    const size_t all = op_count(space, true);
    const size_t grown = op_count(space, false);
    const bool room = block->cell_count < space->max_cells;
    size_t count = 0;
    if (kind == MN_MOVE_AUGMENT_BLOCK)
        return room ? all * (2 * all + 1) * 2 : 0;
    if (kind == MN_MOVE_DEEPEN)
        return room && last->combine == MN_COMBINE_ADD && last->out ? grown : 0;
    if (kind == MN_MOVE_WIDEN || kind == MN_MOVE_NARROW)
        return step(space, block->width, kind == MN_MOVE_WIDEN) != 0;
    if (kind == MN_MOVE_DROP_CELL)
        return block->cell_count > 1;
    if (kind == MN_MOVE_DROP_BLOCK)
        return block->stride == 1 && g->block_count > 1;
    if (kind == MN_MOVE_STRIDE)
        return b + 1 < g->block_count && g->blocks[b + 1].stride != block->stride;
    if (kind == MN_MOVE_COMBINE)
        return block->cell_count;
    for (uint32_t k = 0; k < block->cell_count; k++) {
        if (kind == MN_MOVE_REWIRE)
            count += count_rewired(g, b, k);
        for (uint32_t slot = 0; kind == MN_MOVE_REPLACE && slot < 2; slot++) {
            mn_cell_op op = block->cells[k].op[slot];
            count += grown - (is_grown(op) && (space->ops >> op & 1) != 0);
        }
    }
    return count;
}

static size_t expected_count(const mn_space *space, const mn_genotype *g, mn_move_kind kind)
{
    size_t count = 0;
    if (kind == MN_MOVE_ADD_BLOCK)
        return count_new_blocks(space, g);
    if (kind == MN_MOVE_STEM)
        return g->stem.width == 0 ? 2
                                  : (size_t)(1 + (step(space, g->stem.width, true) > 0) +
                                             (step(space, g->stem.width, false) > 0) +
                                             (g->stem.stride <= 2 ? 1 : 2));
    for (uint32_t b = 0; b < g->block_count; b++)
        count += count_in_block(space, g, b, kind);
    return count;
}

/* ---- children -------------------------------------------------------------------------------- */

/* Each layer continues one of the parent's, in order, none twice; whole cells and blocks do. */
static void check_map(const mn_genotype *base, const mn_candidate *child)
{
    uint32_t last = MN_NONE;
    uint32_t fresh = 0;
    assert_int_equal(child->map.count, mn_genotype_layer_count(&child->genotype));
    for (uint32_t i = 0; i < child->map.count; i++) {
        uint32_t parent = child->map.parent[i];
        fresh += parent == MN_NONE;
        if (parent == MN_NONE)
            continue;
        assert_true(parent < mn_genotype_layer_count(base));
        assert_true(last == MN_NONE || parent > last);
        last = parent;
    }
    assert_int_equal(child->map.parent[0], 0);
    assert_int_equal(last, mn_genotype_layer_head(base));
    const bool one_cell = child->kind == MN_MOVE_AUGMENT_BLOCK || child->kind == MN_MOVE_DEEPEN;
    assert_int_equal(fresh,
                     one_cell                           ? 3
                     : child->kind == MN_MOVE_ADD_BLOCK ? 4
                     : child->kind == MN_MOVE_AUGMENT   ? 3 * base->block_count
                                                        : 0);
}

static void check_child(const mn_genotype *base, const mn_candidate *child)
{
    mn_error err;
    char *json = NULL;
    mn_genotype again;
    const mn_genotype *g = &child->genotype;
    assert_ok(mn_genotype_check(g, &err), &err);
    assert_false(mn_genotype_equal(g, base));
    check_map(base, child);
    assert_ok(mn_genotype_print(g, 0, &json, &err), &err);
    assert_ok(mn_genotype_parse(json, strlen(json), &again, &err), &err);
    assert_true(mn_genotype_equal(g, &again));
    for (uint32_t b = g->block_count; b < MN_MAX_BLOCKS; b++)
        assert_int_equal(g->blocks[b].stride + g->blocks[b].width + g->blocks[b].cell_count, 0);
    free(json);
}

static void check_plan(const mn_genotype *g)
{
    mn_error err;
    mn_graph *graph = NULL;
    mn_graph *deployed = NULL;
    mn_plan *plan = NULL;
    assert_ok(mn_genotype_lower(g, &graph, &err), &err);
    assert_ok(mn_deploy(graph, NULL, &deployed, NULL, &err), &err);
    assert_ok(mn_plan_create(deployed, NULL, &plan, &err), &err);
    assert_true(plan->total_bytes > 0);
    mn_plan_free(plan);
    mn_graph_free(deployed);
    mn_graph_free(graph);
}

static mn_space space_number(int i)
{
    mn_space space = mn_space_default();
    if (i % 3 == 1)
        space = (mn_space){.ops = 0x1f80 | 1, .max_blocks = 3, .max_cells = 3, .min_width = 6};
    if (i % 3 == 2)
        space = (mn_space){.ops = 0x41, .max_blocks = 16, .max_cells = 15, .min_width = 1};
    space.max_width = i % 3 == 1 ? 12 : 4096;
    return space;
}

static void test_every_kind(void **state)
{
    (void)state;
    mn_random random = mn_random_make(8, 2);
    size_t seen[MN_MOVE_COUNT] = {0};
    for (int i = 0; i < 24; i++) {
        mn_genotype base = sample_random(&random, &small);
        mn_space space = space_number(i);
        base.stem.stride = base.stem.width == 0 ? 0 : base.stem.stride;
        for (unsigned kind = MN_MOVE_AUGMENT_BLOCK; kind < MN_MOVE_RANDOM; kind++) {
            mn_candidates *list = neighbours(&space, &base, MN_MOVE_BIT(kind));
            assert_int_equal(list->count, expected_count(&space, &base, (mn_move_kind)kind));
            seen[kind] += list->count;
            for (size_t c = 0; c < list->count; c++) {
                assert_int_equal(list->items[c].kind, kind);
                check_child(&base, &list->items[c]);
                if (c % (list->count / 2 + 1) == 0 && i < 12)
                    check_plan(&list->items[c].genotype);
            }
            mn_candidates_free(list);
        }
    }
    for (unsigned kind = MN_MOVE_AUGMENT_BLOCK; kind < MN_MOVE_RANDOM; kind++)
        assert_true(seen[kind] > 0);
}

/* A list of several kinds is their lists one after another; the paper's are as they were. */
static void test_kinds_in_order(void **state)
{
    (void)state;
    mn_space space = mn_space_default();
    mn_genotype base = sample_base(2);
    mn_candidates *all = neighbours(&space, &base, ~UINT32_C(0));
    size_t at = 0;
    mn_error err;
    for (unsigned kind = 0; kind < MN_MOVE_COUNT; kind++) {
        mn_candidates *list = neighbours(&space, &base, MN_MOVE_BIT(kind));
        for (size_t i = 0; i < list->count; i++, at++) {
            assert_true(at < all->count);
            assert_int_equal(all->items[at].kind, kind);
            assert_true(mn_genotype_equal(&all->items[at].genotype, &list->items[i].genotype));
        }
        mn_candidates_free(list);
    }
    assert_int_equal(at, all->count);
    mn_candidates *augment = NULL;
    assert_ok(mn_moves_augment(&base, &augment, &err), &err);
    for (size_t i = 0; i < augment->count; i++)
        assert_true(mn_genotype_equal(&all->items[i].genotype, &augment->items[i].genotype));
    assert_int_equal(all->items[augment->count].kind, MN_MOVE_TRIM_LAYER);
    mn_candidates_free(augment);
    space.max_cells = 2;
    mn_candidates *none = neighbours(&space, &base, MN_MOVE_BIT(MN_MOVE_AUGMENT));
    assert_int_equal(none->count, 0);
    mn_candidates_free(none);
    mn_candidates_free(all);
}

/* ---- one by one, by hand --------------------------------------------------------------------- */

static void test_deepen_by_hand(void **state)
{
    (void)state;
    mn_space space = mn_space_default();
    space.ops = 1u << MN_OP_IDENTITY | 1u << MN_OP_MBCONV_3X3_E3;
    mn_genotype base = sample_base(1);
    mn_candidates *list = neighbours(&space, &base, MN_MOVE_BIT(MN_MOVE_DEEPEN));
    assert_int_equal(list->count, 5);
    for (uint32_t b = 0; b < 5; b++) {
        mn_genotype expected = base;
        expected.blocks[b].cells[0].out = false;
        expected.blocks[b].cell_count = 2;
        expected.blocks[b].cells[1] =
            (mn_cell){.in = {1, 1}, .op = {MN_OP_IDENTITY, MN_OP_MBCONV_3X3_E3}, .out = true};
        assert_true(mn_genotype_equal(&list->items[b].genotype, &expected));
    }
    mn_candidates_free(list);
}

static void test_add_block_by_hand(void **state)
{
    (void)state;
    mn_space space = mn_space_default();
    space.ops = 1u << MN_OP_CONV_3X3;
    mn_genotype base = sample_base(2); /* outputs of 3 widths; no stem */
    mn_candidates *list = neighbours(&space, &base, MN_MOVE_BIT(MN_MOVE_ADD_BLOCK));
    assert_int_equal(list->count, 10);
    const mn_genotype *second =
        &list->items[2].genotype; /* behind block 1, of its output's width */
    assert_int_equal(second->block_count, 6);
    assert_int_equal(second->blocks[2].width, 12);
    assert_int_equal(second->blocks[2].stride, 1);
    assert_int_equal(list->items[3].genotype.blocks[2].width, 4);
    assert_int_equal(second->blocks[3].width, base.blocks[2].width);
    assert_int_equal(second->blocks[4].stride, base.blocks[3].stride);
    const uint32_t block = mn_genotype_layer_cell(second, 2, 0, 0);
    for (uint32_t layer = 0; layer < list->items[2].map.count; layer++) {
        uint32_t parent = layer < block ? layer : layer < block + 4 ? MN_NONE : layer - 4;
        assert_int_equal(list->items[2].map.parent[layer], parent);
    }
    mn_candidates_free(list);
}

/* ---- mutations ------------------------------------------------------------------------------- */

static void test_mutations(void **state)
{
    (void)state;
    mn_space space = mn_space_default();
    mn_random random = mn_random_make(3, 3);
    mn_error err;
    size_t seen[MN_MOVE_COUNT] = {0};
    mn_genotype base = sample_random(&random, &small);
    base.stem.stride = base.stem.width == 0 ? 0 : base.stem.stride;
    for (uint64_t seed = 0; seed < 400; seed++) {
        mn_candidate child, again;
        assert_ok(mn_moves_mutate(&space, &base, MN_MOVES_ALL, seed, &child, &err), &err);
        assert_ok(mn_moves_mutate(&space, &base, MN_MOVES_ALL, seed, &again, &err), &err);
        assert_int_equal(child.kind, again.kind);
        assert_true(mn_genotype_equal(&child.genotype, &again.genotype));
        check_child(&base, &child);
        seen[child.kind]++;
        if (seed % 40 == 0) {
            bool found = false;
            mn_candidates *list = neighbours(&space, &base, MN_MOVE_BIT(child.kind));
            for (size_t i = 0; i < list->count; i++)
                found = found || mn_genotype_equal(&list->items[i].genotype, &child.genotype);
            assert_true(found);
            mn_candidates_free(list);
            base = child.genotype;
        }
        mn_layer_map_done(&child.map);
        mn_layer_map_done(&again.map);
    }
    for (unsigned kind = 0; kind < MN_MOVE_COUNT; kind++)
        assert_int_equal(seen[kind] > 0, (MN_MOVES_ALL & MN_MOVE_BIT(kind)) != 0);
}

/* ---- random networks ------------------------------------------------------------------------- */

static uint32_t stride_product(const mn_genotype *g, uint32_t *ret_strided)
{
    uint32_t product = 1;
    *ret_strided = 0;
    for (uint32_t b = 0; b < g->block_count; b++) {
        product *= g->blocks[b].stride;
        *ret_strided += g->blocks[b].stride > 1;
    }
    return product;
}

static void test_random(void **state)
{
    (void)state;
    mn_error err;
    mn_space space = mn_space_default();
    space.max_blocks = 7;
    mn_genotype frame = sample_frame();
    uint32_t blocks[MN_MAX_BLOCKS + 1] = {0};
    uint32_t first_strides = 0, last_strides = 0, stems = 0, strided, deep = 0;
    frame.blocks[3].stride = 3;
    for (uint64_t seed = 0; seed < 300; seed++) {
        mn_genotype g, again;
        assert_ok(mn_moves_random(&space, &frame, seed, &g, &err), &err);
        assert_ok(mn_moves_random(&space, &frame, seed, &again, &err), &err);
        assert_true(mn_genotype_equal(&g, &again));
        assert_ok(mn_genotype_check(&g, &err), &err);
        assert_int_equal(stride_product(&g, &strided), 6);
        assert_int_equal(strided, 2);
        assert_true(g.head == frame.head && g.classes == frame.classes);
        blocks[g.block_count]++;
        first_strides += g.blocks[0].stride > 1;
        last_strides += g.blocks[g.block_count - 1].stride > 1;
        stems += g.stem.width > 0;
        for (uint32_t b = 0; b < g.block_count; b++) {
            assert_true(g.blocks[b].width >= 4 && g.blocks[b].width <= 16 * 3);
            deep += g.blocks[b].cell_count > 3;
        }
        if (seed % 30 == 0)
            check_plan(&g);
    }
    for (uint32_t n = 2; n <= 7; n++)
        assert_true(blocks[n] > 20);
    /* 2 in n for each place, n from 2 to 7: 159 are expected of both. */
    assert_true(first_strides > 130 && first_strides < 190);
    assert_true(last_strides > 130 && last_strides < 190);
    assert_true(stems > 100 && stems < 200 && deep > 50);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    (void)state;
    mn_error err;
    mn_candidates *list = NULL;
    mn_candidate child;
    mn_genotype base = sample_base(1);
    mn_genotype g;
    mn_space space = mn_space_default();
    space.ops = 1u << MN_OP_IDENTITY;
    assert_error(
        mn_moves_neighbours(&space, &base, 1, &list, &err), MN_ERR_ARG, &err, "space: ops 0x80");
    space.ops = 1u << MN_OP_COUNT | 1;
    assert_error(mn_space_check(&space, &err), MN_ERR_ARG, &err, "space: ops 0x2001");
    space = mn_space_default();
    space.min_width = 2000;
    assert_error(mn_space_check(&space, &err), MN_ERR_ARG, &err, "min_width 2000 above max_width");
    space = mn_space_default();
    space.max_blocks = 1;
    assert_error(mn_moves_random(&space, &base, 1, &g, &err), MN_ERR_ARG, &err, "max_blocks 1");
    base.blocks[1].width = 0;
    assert_error(mn_moves_random(&space, &base, 1, &g, &err), MN_ERR_ARG, &err, "block 1: width 0");
    assert_error(mn_moves_mutate(&space, &base, MN_MOVES_ALL, 1, &child, &err),
                 MN_ERR_ARG,
                 &err,
                 "block 1: width 0");
    base = sample_base(1);
    base.block_count = 1;
    base.blocks[0].stride = 1;
    assert_error(mn_moves_mutate(&space, &base, MN_MOVE_BIT(MN_MOVE_DROP_BLOCK), 1, &child, &err),
                 MN_ERR_LIMIT,
                 &err,
                 "no move");
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_kinds_in_order),
        cmocka_unit_test(test_deepen_by_hand),
        cmocka_unit_test(test_add_block_by_hand),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
