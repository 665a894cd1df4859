/* The split: seeded, stratified, disjoint, complete, for random labels and fractions. */
#include "test.h"

#include <math.h>

#include "base/random.h"
#include "memnet/dataset.h"

/* A data set of labels only: the split looks at nothing else. */
static mn_dataset make_set(uint16_t *labels, uint32_t count, uint32_t classes)
{
    return (mn_dataset){
        .class_count = classes,
        .train = {.count = count, .labels = labels},
    };
}

static bool equal(const mn_split *a, const mn_split *b)
{
    return a->train_count == b->train_count && a->validation_count == b->validation_count &&
           memcmp(a->train, b->train, a->train_count * sizeof(uint32_t)) == 0 &&
           memcmp(a->validation, b->validation, a->validation_count * sizeof(uint32_t)) == 0;
}

/* Checks lists against a count per class; `seen` catches doubles and gaps. */
static void check_split(const mn_dataset *dataset, double fraction, const mn_split *split)
{
    uint32_t count = dataset->train.count;
    uint8_t *seen = calloc(count, 1);
    uint32_t *total = calloc(dataset->class_count, sizeof *total);
    uint32_t *validating = calloc(dataset->class_count, sizeof *validating);
    assert_int_equal(split->train_count + split->validation_count, count);
    for (uint32_t i = 0; i < split->train_count; i++) {
        assert_true(i == 0 || split->train[i] > split->train[i - 1]);
        seen[split->train[i]]++;
    }
    for (uint32_t i = 0; i < split->validation_count; i++) {
        assert_true(i == 0 || split->validation[i] > split->validation[i - 1]);
        seen[split->validation[i]]++;
        validating[dataset->train.labels[split->validation[i]]]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(seen[i], 1);
        total[dataset->train.labels[i]]++;
    }
    for (uint32_t k = 0; k < dataset->class_count; k++) {
        uint32_t expected = (uint32_t)floor(fraction * total[k] + 0.5);
        if (expected >= total[k] && total[k] > 0)
            expected = total[k] - 1;
        assert_int_equal(validating[k], expected);
    }
    free(validating);
    free(total);
    free(seen);
}

static void test_properties(void **state)
{
    (void)state;
    mn_random random = mn_random_make(1, 0);
    for (int round = 0; round < 300; round++) {
        uint32_t classes = 1 + mn_random_below(&random, 12);
        uint32_t count = classes + mn_random_below(&random, 200);
        uint16_t *labels = calloc(count, sizeof *labels);
        for (uint32_t i = 0; i < count; i++)
            labels[i] = (uint16_t)(i < classes ? i : mn_random_below(&random, classes));
        double fraction = round % 10 == 0 ? 0.999 : (double)mn_random_uniform(&random);
        mn_dataset dataset = make_set(labels, count, classes);
        mn_split split, same;
        mn_error err;
        assert_ok(mn_split_make(&dataset, (uint64_t)round, fraction, &split, &err), &err);
        check_split(&dataset, fraction, &split);
        assert_ok(mn_split_make(&dataset, (uint64_t)round, fraction, &same, &err), &err);
        assert_true(equal(&split, &same));
        mn_split_done(&same);
        mn_split_done(&split);
        assert_null(split.train);
        free(labels);
    }
}

static void test_seed_matters(void **state)
{
    (void)state;
    uint16_t labels[100];
    for (uint16_t i = 0; i < 100; i++)
        labels[i] = i % 4;
    mn_dataset dataset = make_set(labels, 100, 4);
    mn_split a, b;
    mn_error err;
    assert_ok(mn_split_make(&dataset, 1, 0.2, &a, &err), &err);
    assert_ok(mn_split_make(&dataset, 2, 0.2, &b, &err), &err);
    assert_false(equal(&a, &b));
    /* Every class draws for itself: were it one draw, quadruples 4k .. 4k+3 would stay together. */
    bool apart = false;
    for (uint32_t i = 0; i < a.validation_count; i++) {
        uint32_t together = 0;
        for (uint32_t k = 0; k < a.validation_count; k++)
            together += a.validation[k] / 4 == a.validation[i] / 4;
        apart = apart || together < 4;
    }
    assert_true(apart);
    mn_split_done(&b);
    mn_split_done(&a);
}

/* Over many seeds every image validates about equally often. */
static void test_uniform(void **state)
{
    (void)state;
    const int rounds = 2000;
    uint16_t labels[40];
    uint32_t hits[40] = {0};
    for (uint16_t i = 0; i < 40; i++)
        labels[i] = i % 2;
    mn_dataset dataset = make_set(labels, 40, 2);
    for (int seed = 0; seed < rounds; seed++) {
        mn_split split;
        assert_int_equal(mn_split_make(&dataset, (uint64_t)seed, 0.25, &split, NULL), MN_OK);
        for (uint32_t i = 0; i < split.validation_count; i++)
            hits[split.validation[i]]++;
        mn_split_done(&split);
    }
    for (uint32_t i = 0; i < 40; i++) /* mean 500, standard deviation 19 */
        assert_in_range(hits[i], 400, 600);
}

static void test_edges(void **state)
{
    (void)state;
    uint16_t labels[6] = {0, 0, 0, 1, 2, 2};
    mn_dataset dataset = make_set(labels, 6, 3);
    mn_split split = {.train_count = 77};
    mn_error err;
    const double bad[] = {-0.1, 1.0, 2.0, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_error(mn_split_make(&dataset, 1, bad[i], &split, &err),
                     MN_ERR_ARG,
                     &err,
                     "expected a number in [0,1)");
        assert_int_equal(split.train_count, 77);
    }
    assert_ok(mn_split_make(&dataset, 1, 0.0, &split, &err), &err);
    assert_int_equal(split.train_count, 6);
    assert_int_equal(split.validation_count, 0);
    assert_non_null(split.validation); /* NULL would mean "all images" to mn_batches_create() */
    mn_split_done(&split);
    mn_split_done(&split);
    assert_ok(mn_split_make(&dataset, 1, 0.99, &split, &err), &err);
    assert_int_equal(split.train_count, 3); /* one of each class */
    mn_split_done(&split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
