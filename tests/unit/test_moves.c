/* Moves: the paper's counts, each list against an independent enumeration, layer maps. */
#include "test.h"

#include "genotype_samples.h"
#include "memnet/moves.h"

/* ---- running out of memory ------------------------------------------------------------------- */

/* calloc() calls that still succeed; negative = any number. */
static int callocs_left = -1;

/* Every allocation of the moves goes through calloc(), which this one replaces. */
void *calloc(size_t count, size_t size)
{
    if (callocs_left == 0 || (size != 0 && count > SIZE_MAX / 2 / size))
        return NULL;
    if (callocs_left > 0)
        callocs_left--;
    size_t bytes = (count * size + 16) / 16 * 16;
    void *block = aligned_alloc(16, bytes);
    return block == NULL ? NULL : memset(block, 0, bytes);
}

typedef mn_status move_function(const mn_genotype *base, mn_candidates **ret, mn_error *err);

static mn_candidates *make(move_function *move, const mn_genotype *base)
{
    mn_error err;
    mn_candidates *list = NULL;
    assert_ok(move(base, &list, &err), &err);
    assert_non_null(list);
    return list;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, MN_ID_BYTES);
}

static size_t distinct_ids(const mn_candidates *list)
{
    char(*ids)[MN_ID_BYTES] = malloc((list->count + 1) * sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < list->count; i++)
        mn_genotype_id(&list->items[i].genotype, ids[i]);
    qsort(ids, list->count, sizeof *ids, compare_ids);
    size_t distinct = 0;
    for (size_t i = 0; i < list->count; i++)
        distinct += i == 0 || strcmp(ids[i - 1], ids[i]) != 0;
    free(ids);
    return distinct;
}

static void assert_all_valid(const mn_candidates *list)
{
    mn_error err;
    for (size_t i = 0; i < list->count; i++)
        assert_ok(mn_genotype_check(&list->items[i].genotype, &err), &err);
}

static void test_round0(void **state)
{
    (void)state;
    mn_genotype frame = sample_base(2); /* its cells are ignored */
    mn_candidates *list = make(mn_moves_round0, &frame);
    assert_int_equal(list->count, 98);
    assert_int_equal(distinct_ids(list), 56);
    assert_all_valid(list);
    size_t i = 0;
    for (unsigned op0 = 0; op0 < 7; op0++) {
        for (unsigned op1 = 0; op1 < 7; op1++) {
            for (unsigned combine = 0; combine < 2; combine++, i++) {
                mn_genotype expected = sample_frame();
                sample_append(
                    &expected, 0, (mn_cell_op)op0, 0, (mn_cell_op)op1, (mn_combine)combine);
                assert_int_equal(list->items[i].kind, MN_MOVE_ROUND0);
                assert_true(mn_genotype_equal(&list->items[i].genotype, &expected));
                assert_int_equal(list->items[i].map.count, 0);
                assert_null(list->items[i].map.parent);
            }
        }
    }
    mn_candidates_free(list);
}

static void expect_augment_counts(const mn_genotype *base, size_t count, size_t distinct)
{
    mn_candidates *list = make(mn_moves_augment, base);
    assert_int_equal(list->count, count);
    assert_int_equal(distinct_ids(list), distinct);
    assert_all_valid(list);
    mn_candidates_free(list);
}

static void test_augment_counts(void **state)
{
    (void)state;
    mn_genotype one = sample_base(1);
    mn_genotype two = sample_base(2);
    expect_augment_counts(&one, 392, 210);
    expect_augment_counts(&two, 882, 462);
}

static void test_augment_children(void **state)
{
    (void)state;
    mn_genotype base = sample_base(2);
    base.blocks[3].cells[0].out = false; /* marks are left alone */
    mn_candidates *list = make(mn_moves_augment, &base);
    size_t i = 0;
    for (uint32_t in0 = 0; in0 < 3; in0++) {
        for (uint32_t in1 = 0; in1 < 3; in1++) {
            for (unsigned ops = 0; ops < 98; ops++, i++) {
                mn_genotype expected = base;
                sample_append(&expected,
                              in0,
                              (mn_cell_op)(ops / 14),
                              in1,
                              (mn_cell_op)(ops / 2 % 7),
                              (mn_combine)(ops % 2));
                assert_true(mn_genotype_equal(&list->items[i].genotype, &expected));
                assert_int_equal(list->items[i].kind, MN_MOVE_AUGMENT);
            }
        }
    }
    assert_int_equal(list->count, i);
    mn_candidates_free(list);
}

static void test_augment_unequal_blocks(void **state)
{
    (void)state;
    mn_genotype base = sample_base(2);
    base.blocks[2].cells[1] = (mn_cell){0};
    base.blocks[2].cell_count = 1;
    mn_candidates *list = make(mn_moves_augment, &base);
    assert_int_equal(list->count, 2 * 2 * 98);
    assert_all_valid(list);
    assert_int_equal(list->items[0].genotype.blocks[2].cell_count, 2);
    assert_int_equal(list->items[0].genotype.blocks[1].cell_count, 3);
    mn_candidates_free(list);
}

static void test_augment_full_block(void **state)
{
    (void)state;
    mn_genotype base = sample_base(1);
    base.block_count = 2;
    mn_block *block = &base.blocks[1];
    while (block->cell_count < MN_MAX_CELLS - 1)
        block->cells[block->cell_count++] = block->cells[0];
    mn_candidates *list = make(mn_moves_augment, &base);
    assert_int_equal(list->count, 392);
    assert_all_valid(list);
    mn_candidates_free(list);
    block->cells[block->cell_count++] = block->cells[0];
    list = make(mn_moves_augment, &base);
    assert_int_equal(list->count, 0);
    mn_candidates_free(list);
}

/* ---- trim ------------------------------------------------------------------------------------ */

static size_t count_kind(const mn_candidates *list, mn_move_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->items[i].kind == kind;
    return count;
}

static void test_trim_counts(void **state)
{
    (void)state;
    mn_genotype base = sample_base(2);
    mn_candidates *list = make(mn_moves_trim, &base);
    assert_int_equal(list->count, 25);
    assert_int_equal(count_kind(list, MN_MOVE_TRIM_LAYER), 20);
    assert_int_equal(count_kind(list, MN_MOVE_TRIM_EDGE), 5);
    mn_candidates_free(list);
    base = sample_base(1);
    list = make(mn_moves_trim, &base);
    assert_int_equal(count_kind(list, MN_MOVE_TRIM_LAYER), 10);
    assert_int_equal(count_kind(list, MN_MOVE_TRIM_EDGE), 0);
    mn_candidates_free(list);
}

static void test_trim_nothing_left(void **state)
{
    (void)state;
    mn_genotype base = sample_frame();
    sample_append(&base, 0, MN_OP_IDENTITY, 0, MN_OP_IDENTITY, MN_COMBINE_ADD);
    mn_candidates *list = make(mn_moves_trim, &base);
    assert_int_equal(list->count, 0);
    mn_candidates_free(list);
}

static bool is_in(const mn_candidates *list, const mn_genotype *child, mn_move_kind kind)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == kind && mn_genotype_equal(&list->items[i].genotype, child))
            return true;
    }
    return false;
}

/* Whether a cell of the block reads cell `k`, asked in another way than the library does. */
static bool has_reader(const mn_block *block, uint32_t k)
{
    uint32_t readers = 0;
    for (uint32_t other = 0; other < block->cell_count; other++)
        readers += (block->cells[other].in[0] == k + 1) + (block->cells[other].in[1] == k + 1);
    return readers > 0;
}

/* Tries every trim of every cell: allowed ones are in the list, and nothing else is. */
static void test_trim_against_enumeration(void **state)
{
    (void)state;
    const sample_limits most = {
        .side = 32, .channels = 3, .classes = 10, .width = 8, .blocks = 4, .cells = 6};
    mn_random random = mn_random_make(6, 0);
    for (int i = 0; i < 60; i++) {
        mn_genotype base = sample_random(&random, &most);
        mn_candidates *list = make(mn_moves_trim, &base);
        assert_all_valid(list);
        size_t expected = 0;
        for (uint32_t b = 0; b < base.block_count; b++) {
            for (uint32_t k = 0; k < base.blocks[b].cell_count; k++) {
                const mn_cell *cell = &base.blocks[b].cells[k];
                for (uint32_t slot = 0; slot < 2; slot++) {
                    mn_genotype child = base;
                    child.blocks[b].cells[k].op[slot] = MN_OP_IDENTITY;
                    bool allowed = cell->op[slot] != MN_OP_IDENTITY;
                    assert_int_equal(is_in(list, &child, MN_MOVE_TRIM_LAYER), allowed);
                    expected += allowed;
                }
                mn_genotype child = base;
                child.blocks[b].cells[k].out = false;
                bool allowed = cell->out && has_reader(&base.blocks[b], k);
                assert_int_equal(is_in(list, &child, MN_MOVE_TRIM_EDGE), allowed);
                expected += allowed;
            }
        }
        assert_int_equal(list->count, expected);
        mn_candidates_free(list);
    }
}

/* ---- layer maps ------------------------------------------------------------------------------ */

/* What stands at a layer: op or combine with its inputs, so that maps can be judged by content. */
typedef struct content {
    char kind; /* stem, cell slot, block output, head: s 0 1 2 o h */
    uint32_t block, cell, what;
} content;

static content content_of(const mn_genotype *g, uint32_t layer)
{
    if (layer == mn_genotype_layer_stem())
        return (content){.kind = 's'};
    if (layer == mn_genotype_layer_head(g))
        return (content){.kind = 'h'};
    for (uint32_t b = 0; b < g->block_count; b++) {
        if (layer == mn_genotype_layer_block_output(g, b))
            return (content){.kind = 'o', .block = b};
        for (uint32_t k = 0; k < g->blocks[b].cell_count; k++) {
            const mn_cell *cell = &g->blocks[b].cells[k];
            const unsigned what[3] = {cell->op[0], cell->op[1], cell->combine};
            for (uint32_t slot = 0; slot < 3; slot++) {
                if (layer == mn_genotype_layer_cell(g, b, k, slot))
                    return (content){(char)('0' + slot), b, k, what[slot]};
            }
        }
    }
    fail_msg("no layer %u", layer);
    return (content){0};
}

/* Checks one map; returns its layers without a parent and counts those whose op changed. */
static uint32_t check_map(const mn_genotype *base, const mn_candidate *child, uint32_t *ret_changed)
{
    uint32_t fresh = 0;
    uint32_t last = MN_NONE;
    *ret_changed = 0;
    assert_int_equal(child->map.count, mn_genotype_layer_count(&child->genotype));
    for (uint32_t layer = 0; layer < child->map.count; layer++) {
        uint32_t parent = child->map.parent[layer];
        if (parent == MN_NONE) {
            fresh++;
            continue;
        }
        assert_true(parent < mn_genotype_layer_count(base));
        assert_true(last == MN_NONE || parent > last); /* so no parent layer twice */
        last = parent;
        content now = content_of(&child->genotype, layer);
        content then = content_of(base, parent);
        assert_int_equal(now.kind, then.kind);
        assert_int_equal(now.block, then.block);
        assert_int_equal(now.cell, then.cell);
        if (now.what != then.what) {
            assert_int_equal(now.what, MN_OP_IDENTITY);
            (*ret_changed)++;
        }
    }
    return fresh;
}

static void test_maps(void **state)
{
    (void)state;
    mn_genotype base = sample_base(2);
    base.stem = (mn_stem){.width = 4, .stride = 1};
    move_function *moves[] = {mn_moves_augment, mn_moves_trim};
    for (size_t m = 0; m < 2; m++) {
        mn_candidates *list = make(moves[m], &base);
        for (size_t i = 0; i < list->count; i++) {
            const mn_candidate *item = &list->items[i];
            uint32_t changed = 0;
            uint32_t fresh = check_map(&base, item, &changed);
            assert_int_equal(fresh, item->kind == MN_MOVE_AUGMENT ? 3 * base.block_count : 0);
            assert_int_equal(changed, item->kind == MN_MOVE_TRIM_LAYER ? 1 : 0);
            assert_int_equal(item->map.count - fresh, mn_genotype_layer_count(&base));
        }
        mn_candidates_free(list);
    }
}

/* The new layers are those of each block's last cell. */
static void test_augment_map_by_hand(void **state)
{
    (void)state;
    mn_genotype base = sample_base(1);
    base.block_count = 2;
    mn_candidates *list = make(mn_moves_augment, &base);
    const uint32_t x = MN_NONE;
    /*                       stem  cell 0   cell 1   out  cell 0   cell 1   out head */
    const uint32_t expected[] = {0, 1, 2, 3, x, x, x, 4, 5, 6, 7, x, x, x, 8, 9};
    for (size_t i = 0; i < list->count; i++) {
        assert_int_equal(list->items[i].map.count, sizeof expected / sizeof expected[0]);
        assert_memory_equal(list->items[i].map.parent, expected, sizeof expected);
    }
    mn_candidates_free(list);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void test_bad_base(void **state)
{
    (void)state;
    mn_error err;
    mn_candidates *list = NULL;
    mn_genotype base = sample_base(1);
    base.blocks[1].cells[0].in[0] = 1;
    assert_error(mn_moves_augment(&base, &list, &err), MN_ERR_ARG, &err, "block 1 cell 0: input 1");
    assert_error(mn_moves_trim(&base, &list, &err), MN_ERR_ARG, &err, "block 1 cell 0: input 1");
    base.blocks[3].width = 0;
    assert_error(mn_moves_round0(&base, &list, &err), MN_ERR_ARG, &err, "block 3: width 0");
    base.block_count = 99;
    assert_error(mn_moves_round0(&base, &list, &err), MN_ERR_ARG, &err, "block count 99");
    base.block_count = 0;
    assert_error(mn_moves_round0(&base, &list, &err), MN_ERR_ARG, &err, "block count 0");
    assert_null(list);
    mn_candidates_free(NULL);
}

static mn_status add_blocks(const mn_genotype *base, mn_candidates **ret, mn_error *err)
{
    mn_space space = mn_space_default();
    space.ops = 1u << MN_OP_CONV_3X3;
    return mn_moves_neighbours(&space, base, MN_MOVE_BIT(MN_MOVE_ADD_BLOCK), ret, err);
}

/* Each of the allocations fails once (of augment's many, every 29th): an error and no leak. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static const struct {
        move_function *move;
        int allocations; /* the list, its items, a map for each child */
        int step;
    } cases[] = {{mn_moves_round0, 2, 1},
                 {mn_moves_augment, 2 + 392, 29},
                 {mn_moves_trim, 2 + 10, 1},
                 {add_blocks, 2 + 5, 1}};
    mn_genotype base = sample_base(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mn_candidates *list = NULL;
        for (int n = 0; n < cases[i].allocations; n += n < 3 ? 1 : cases[i].step) {
            callocs_left = n;
            mn_status status = cases[i].move(&base, &list, NULL);
            callocs_left = -1;
            assert_int_equal(status, MN_ERR_NOMEM);
            assert_null(list);
        }
        callocs_left = cases[i].allocations;
        mn_status status = cases[i].move(&base, &list, NULL);
        callocs_left = -1;
        assert_int_equal(status, MN_OK);
        mn_candidates_free(list);
    }
    mn_space space = mn_space_default();
    mn_candidate child = {.kind = MN_MOVE_COUNT};
    callocs_left = 0;
    assert_int_equal(mn_moves_mutate(&space, &base, MN_MOVES_ALL, 1, &child, NULL), MN_ERR_NOMEM);
    callocs_left = -1;
    assert_int_equal(child.kind, MN_MOVE_COUNT);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(mn_move_name(MN_MOVE_ROUND0), "round0");
    assert_string_equal(mn_move_name(MN_MOVE_AUGMENT), "augment");
    assert_string_equal(mn_move_name(MN_MOVE_TRIM_LAYER), "trim-layer");
    assert_string_equal(mn_move_name(MN_MOVE_TRIM_EDGE), "trim-edge");
    assert_string_equal(mn_move_name(MN_MOVE_RANDOM), "random");
    assert_string_equal(mn_move_name(MN_MOVE_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round0),
        cmocka_unit_test(test_augment_counts),
        cmocka_unit_test(test_augment_children),
        cmocka_unit_test(test_augment_unequal_blocks),
        cmocka_unit_test(test_augment_full_block),
        cmocka_unit_test(test_trim_counts),
        cmocka_unit_test(test_trim_nothing_left),
        cmocka_unit_test(test_trim_against_enumeration),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_augment_map_by_hand),
        cmocka_unit_test(test_bad_base),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
