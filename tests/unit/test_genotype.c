/* Genotypes: the check, identity, layer numbers. */
#include "test.h"

#include "genotype_samples.h"

static const sample_limits anything = {.side = MN_MAX_INPUT_SIDE,
                                       .channels = MN_MAX_INPUT_CHANNELS,
                                       .classes = MN_MAX_CLASSES,
                                       .width = MN_MAX_WIDTH,
                                       .blocks = MN_MAX_BLOCKS,
                                       .cells = MN_MAX_CELLS};

/* ---- check ----------------------------------------------------------------------------------- */

static void expect_wrong(const mn_genotype *genotype, const char *message)
{
    mn_error err;
    assert_error(mn_genotype_check(genotype, &err), MN_ERR_ARG, &err, message);
}

static void test_check_numbers(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype good = sample_base(2);
    good.stem = (mn_stem){.width = 8, .stride = 1};
    assert_ok(mn_genotype_check(&good, &err), &err);
    mn_genotype g = good;
    uint32_t *fields[] = {&g.input.h,
                          &g.input.w,
                          &g.input.c,
                          &g.classes,
                          &g.stem.width,
                          &g.stem.stride,
                          &g.block_count,
                          &g.blocks[4].stride,
                          &g.blocks[4].width,
                          &g.blocks[4].cell_count};
    const uint32_t highest[] = {2048, 2048, 256, 10000, 4096, 4, 16, 4, 4096, 15};
    const char *names[] = {"input: height",
                           "input: width",
                           "input: channels",
                           "genotype: classes",
                           "stem: width",
                           "stem: stride",
                           "genotype: block count",
                           "block 4: stride",
                           "block 4: width",
                           "block 4: cell count"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = highest[i] + 1;
        expect_wrong(&g, names[i]);
        *fields[i] = UINT32_MAX;
        expect_wrong(&g, names[i]);
        *fields[i] = 0;
        if (fields[i] == &g.stem.width)
            assert_ok(mn_genotype_check(&g, &err), &err);
        else
            expect_wrong(&g, names[i]);
        g = good;
    }
}

static void test_check_cells(void **state)
{
    (void)state;
    mn_error err;
    mn_genotype g = sample_base(2);
    mn_cell *cell = &g.blocks[1].cells[1];
    cell->in[1] = 2;
    expect_wrong(&g, "block 1 cell 1: input 2 out of range [0,2)");
    cell->in[1] = MN_NONE;
    expect_wrong(&g, "block 1 cell 1: input 4294967295 out of range [0,2)");
    cell->in[1] = 0;
    cell->op[0] = MN_OP_COUNT;
    expect_wrong(&g, "block 1 cell 1: op 13 out of range [0,13)");
    cell->op[0] = MN_OP_CONV_3X3;
    cell->combine = (mn_combine)2;
    expect_wrong(&g, "block 1 cell 1: combine 2");
    cell->combine = MN_COMBINE_ADD;
    cell->out = false;
    expect_wrong(&g, "block 1 cell 1: its output is neither");
    cell->out = true;
    g.head = (mn_head)2;
    expect_wrong(&g, "head 2");
    g.head = MN_HEAD_GAP;
    g.blocks[1].cells[0].out = false;
    assert_ok(mn_genotype_check(&g, &err), &err);
    cell->in[0] = 0;
    expect_wrong(&g, "block 1 cell 0: its output is neither");
}

/* ---- identity -------------------------------------------------------------------------------- */

static bool same_id(const mn_genotype *a, const mn_genotype *b)
{
    char id_a[MN_ID_BYTES];
    char id_b[MN_ID_BYTES];
    mn_genotype_id(a, id_a);
    mn_genotype_id(b, id_b);
    assert_int_equal(strlen(id_a), 16);
    assert_int_equal(strspn(id_a, "0123456789abcdef"), 16);
    return strcmp(id_a, id_b) == 0;
}

static void swap_pairs(mn_cell *cell)
{
    mn_cell old = *cell;
    cell->in[0] = old.in[1];
    cell->in[1] = old.in[0];
    cell->op[0] = old.op[1];
    cell->op[1] = old.op[0];
}

/* Ids are stored in studies and file names: the value itself may not change. */
static void test_id_is_pinned(void **state)
{
    (void)state;
    char id[MN_ID_BYTES];
    mn_genotype g = sample_base(2);
    g.stem = (mn_stem){.width = 8, .stride = 1};
    mn_genotype_id(&g, id);
    assert_string_equal(id, "3dd5637d0cb15477");
}

static void test_id_ignores_order_of_pairs(void **state)
{
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(3, 0);
    for (int i = 0; i < 500; i++) {
        mn_genotype g = sample_random(&random, &anything);
        mn_genotype swapped = g;
        for (uint32_t b = 0; b < g.block_count; b++) {
            for (uint32_t k = 0; k < g.blocks[b].cell_count; k++) {
                if (mn_random_below(&random, 2) == 0)
                    swap_pairs(&swapped.blocks[b].cells[k]);
            }
        }
        assert_true(same_id(&g, &swapped));
        mn_genotype canonical;
        mn_genotype canonical_swapped;
        mn_genotype_canonical(&g, &canonical);
        mn_genotype_canonical(&swapped, &canonical_swapped);
        assert_true(mn_genotype_equal(&canonical, &canonical_swapped));
        assert_ok(mn_genotype_check(&canonical, &err), &err);
        assert_true(same_id(&g, &canonical));
    }
}

static void test_canonical_order(void **state)
{
    (void)state;
    mn_genotype g = sample_base(2);
    mn_genotype canonical;
    mn_genotype_canonical(&g, &canonical);
    const mn_cell *first = &canonical.blocks[0].cells[0];
    assert_int_equal(first->op[0], MN_OP_AVG_POOL);
    assert_int_equal(first->op[1], MN_OP_CONV_3X3);
    const mn_cell *second = &canonical.blocks[0].cells[1];
    assert_int_equal(second->in[0], 0);
    assert_int_equal(second->op[0], MN_OP_DILATED_CONV);
    assert_int_equal(second->in[1], 1);
    assert_int_equal(second->op[1], MN_OP_SEPARABLE_3X3);
    assert_int_equal(second->combine, MN_COMBINE_CONCAT);
    assert_true(second->out);
}

/* Number `which` of all single changes of `g`; false past the last. Not all pass the check. */
static bool change_field(mn_genotype *g, uint32_t which)
{
    uint32_t *top[] = {
        &g->input.h, &g->input.w, &g->input.c, &g->classes, &g->stem.width, &g->stem.stride};
    uint32_t top_count = sizeof top / sizeof top[0];
    if (which < top_count) {
        *top[which] += 1;
        return true;
    }
    which -= top_count;
    if (which == 0)
        g->head = g->head == MN_HEAD_GAP ? MN_HEAD_MAXPOOL2 : MN_HEAD_GAP;
    if (which == 1)
        g->block_count--;
    if (which < 2)
        return true;
    which -= 2;
    mn_block *block = &g->blocks[which / 15 % MN_MAX_BLOCKS];
    if (which / 15 >= g->block_count)
        return false;
    mn_cell *cell = &block->cells[which % 15 / 6 % 2];
    switch (which % 15) {
    case 12:
        block->stride++;
        break;
    case 13:
        block->width++;
        break;
    case 14:
        block->cell_count--;
        break;
    default:
        if (which % 6 < 2)
            cell->in[which % 6] ^= 1;
        else if (which % 6 < 4)
            cell->op[which % 6 - 2] = (cell->op[which % 6 - 2] + 1) % MN_OP_COUNT;
        else if (which % 6 == 4)
            cell->combine ^= 1;
        else
            cell->out = !cell->out;
    }
    return true;
}

static void test_id_sees_every_field(void **state)
{
    (void)state;
    /* Pairs that differ in input and op, so that no single change is a swap. */
    mn_genotype g = sample_frame();
    g.stem = (mn_stem){.width = 8, .stride = 1};
    sample_append(&g, 0, MN_OP_AVG_POOL, 0, MN_OP_SEPARABLE_5X5, MN_COMBINE_ADD);
    sample_append(&g, 1, MN_OP_SEPARABLE_3X3, 0, MN_OP_DILATED_CONV, MN_COMBINE_CONCAT);
    uint32_t changes = 0;
    for (;; changes++) {
        mn_genotype changed = g;
        if (!change_field(&changed, changes))
            break;
        if (same_id(&g, &changed) || mn_genotype_equal(&g, &changed))
            fail_msg("change %u went unseen", changes);
    }
    assert_int_equal(changes, 8 + 5 * 15);
    /* A pair is one thing: exchanging only the ops or only the inputs is another network. */
    mn_genotype crossed = g;
    mn_cell *cell = &crossed.blocks[2].cells[1];
    cell->in[0] = 0;
    cell->in[1] = 1;
    assert_false(same_id(&g, &crossed));
    swap_pairs(cell);
    assert_false(same_id(&g, &crossed));
}

/* The stride of a stem that is not there, and what lies past the counts, is nobody's field. */
static void test_identity_ignores_unused(void **state)
{
    (void)state;
    mn_genotype a = sample_base(1);
    mn_genotype b = a;
    b.stem.stride = 3;
    b.blocks[7].width = 9;
    b.blocks[0].cells[3].out = true;
    assert_true(mn_genotype_equal(&a, &b));
    assert_true(same_id(&a, &b));
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Visits the layers in their documented order and expects 0, 1, 2, ... */
static void test_layers(void **state)
{
    (void)state;
    mn_random random = mn_random_make(4, 0);
    for (int i = 0; i < 200; i++) {
        mn_genotype g = sample_random(&random, &anything);
        uint32_t next = 0;
        assert_int_equal(mn_genotype_layer_stem(), next++);
        for (uint32_t b = 0; b < g.block_count; b++) {
            for (uint32_t k = 0; k < g.blocks[b].cell_count; k++) {
                for (uint32_t slot = 0; slot < 3; slot++)
                    assert_int_equal(mn_genotype_layer_cell(&g, b, k, slot), next++);
            }
            assert_int_equal(mn_genotype_layer_block_output(&g, b), next++);
        }
        assert_int_equal(mn_genotype_layer_head(&g), next++);
        assert_int_equal(mn_genotype_layer_count(&g), next);
    }
}

static void test_op_names(void **state)
{
    (void)state;
    assert_string_equal(mn_cell_op_name(MN_OP_AVG_POOL), "avg_pool_3x3");
    assert_string_equal(mn_cell_op_name(MN_OP_IDENTITY), "identity");
    assert_string_equal(mn_cell_op_name(MN_OP_COUNT), "unknown");
    assert_string_equal(mn_cell_op_name((mn_cell_op)-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_numbers),
        cmocka_unit_test(test_check_cells),
        cmocka_unit_test(test_id_is_pinned),
        cmocka_unit_test(test_id_ignores_order_of_pairs),
        cmocka_unit_test(test_canonical_order),
        cmocka_unit_test(test_id_sees_every_field),
        cmocka_unit_test(test_identity_ignores_unused),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_op_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
