/* Batches: contents against what the augmentation gives directly, order, last batches, epochs that
 * are left early, and independence of timing. */
#include "test.h"

#include <time.h>

#include "base/hash.h"
#include "data/augment.h"
#include "memnet/batches.h"

enum { h = 3, w = 4, c = 2, elements = h * w * c, images = 53 };

/* A data set in static arrays: image i's pixels tell i. */
static uint8_t pixels[images * elements];
static uint16_t labels[images];
static mn_dataset dataset;

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < images; i++) {
        labels[i] = (uint16_t)(i % 7);
        for (size_t k = 0; k < elements; k++)
            pixels[i * elements + k] = (uint8_t)(i * 4 + k % 3);
    }
    dataset = (mn_dataset){
        .shape = {h, w, c},
        .pixel_type = MN_PIXEL_U8,
        .class_count = 7,
        .train = {.count = images, .pixels = pixels, .labels = labels},
    };
    return 0;
}

static mn_batches_opts default_opts(void)
{
    return (mn_batches_opts){
        .dataset = &dataset,
        .images = &dataset.train,
        .batch = 8,
        .preprocessing = {100.0f, 0.5f},
        .seed = 42,
    };
}

static mn_batches *create(const mn_batches_opts *opts)
{
    mn_batches *batches = NULL;
    mn_error err;
    assert_ok(mn_batches_create(opts, &batches, &err), &err);
    return batches;
}

static void pause_us(long microseconds)
{
    const struct timespec time = {0, microseconds * 1000};
    nanosleep(&time, NULL);
}

/* All that an epoch hands out, as one number. */
static uint64_t epoch_hash(mn_batches *batches, uint64_t epoch, bool slowly)
{
    uint64_t hash = MN_HASH_START;
    mn_batch batch;
    mn_batches_begin(batches, epoch);
    while (mn_batches_next(batches, &batch)) {
        if (slowly)
            pause_us(300);
        hash = mn_hash_bytes(hash, &batch.count, sizeof batch.count);
        hash = mn_hash_bytes(hash, batch.images, 8 * elements * sizeof(float));
        hash = mn_hash_bytes(hash, batch.labels, batch.count * sizeof batch.labels[0]);
        hash = mn_hash_bytes(hash, batch.index, batch.count * sizeof batch.index[0]);
    }
    return hash;
}

/* Unaugmented pixels of every batch: normalised, planes, labels, zeros behind the last image. */
static void check_plain(const mn_batch *batch, uint32_t batch_size)
{
    assert_int_equal((uintptr_t)batch->images % 64, 0);
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint8_t *image = pixels + batch->index[i] * elements;
        assert_int_equal(batch->labels[i], labels[batch->index[i]]);
        for (size_t k = 0; k < elements; k++) {
            size_t plane = k / (h * w);
            float expected = ((float)image[k % (h * w) * c + plane] - 100.0f) * 0.5f;
            assert_true(batch->images[i * elements + k] == expected);
        }
    }
    for (size_t k = batch->count * elements; k < batch_size * elements; k++)
        assert_true(batch->images[k] == 0.0f);
}

static void test_in_order(void **state)
{
    (void)state;
    mn_batches_opts opts = default_opts();
    mn_batches *batches = create(&opts);
    mn_batch batch;
    assert_int_equal(mn_batches_per_epoch(batches), 7);
    assert_false(mn_batches_next(batches, &batch)); /* no epoch has begun */
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        mn_batches_begin(batches, epoch);
        for (uint32_t k = 0; k < 7; k++) {
            assert_true(mn_batches_next(batches, &batch));
            assert_int_equal(batch.count, k < 6 ? 8 : 5);
            for (uint32_t i = 0; i < batch.count; i++)
                assert_int_equal(batch.index[i], k * 8 + i);
            check_plain(&batch, 8);
        }
        assert_false(mn_batches_next(batches, &batch));
        assert_false(mn_batches_next(batches, &batch));
    }
    assert_true(mn_batches_wait_ms(batches) >= 0.0);
    mn_batches_free(batches);
}

static void test_listed(void **state)
{
    (void)state;
    const uint32_t indices[] = {50, 3, 3, 17, 0, 52};
    mn_batches_opts opts = default_opts();
    opts.indices = indices;
    opts.index_count = 6;
    opts.batch = 4;
    mn_batches *batches = create(&opts);
    mn_batch batch;
    uint32_t at = 0;
    assert_int_equal(mn_batches_per_epoch(batches), 2);
    mn_batches_begin(batches, 0);
    while (mn_batches_next(batches, &batch)) {
        for (uint32_t i = 0; i < batch.count; i++)
            assert_int_equal(batch.index[i], indices[at++]);
        check_plain(&batch, 4);
    }
    assert_int_equal(at, 6);
    mn_batches_free(batches);
}

/* Shuffled: each image at most once in an epoch, full batches only, another order each epoch. */
static void test_shuffled(void **state)
{
    (void)state;
    mn_batches_opts opts = default_opts();
    opts.shuffle = true;
    mn_batches *batches = create(&opts);
    mn_batch batch;
    uint32_t first[4];
    uint32_t total[images] = {0};
    assert_int_equal(mn_batches_per_epoch(batches), 6);
    for (uint64_t epoch = 0; epoch < 200; epoch++) {
        uint32_t seen[images] = {0};
        uint32_t count = 0;
        mn_batches_begin(batches, epoch);
        while (mn_batches_next(batches, &batch)) {
            assert_int_equal(batch.count, 8);
            check_plain(&batch, 8);
            if (count == 0 && epoch < 4)
                first[epoch] = (batch.index[0] << 16) + (batch.index[1] << 8) + batch.index[2];
            for (uint32_t i = 0; i < 8; i++)
                seen[batch.index[i]]++;
            count += 8;
        }
        assert_int_equal(count, 48);
        for (uint32_t i = 0; i < images; i++) {
            assert_true(seen[i] <= 1);
            total[i] += seen[i];
        }
    }
    assert_true(first[0] != first[1] || first[1] != first[2] || first[2] != first[3]);
    for (uint32_t i = 0; i < images; i++) /* which ones are dropped changes: 181, deviation 4.1 */
        assert_in_range(total[i], 155, 199);
    mn_batches_free(batches);
}

/* A count that divides leaves nothing out: every image once. */
static void test_shuffled_complete(void **state)
{
    (void)state;
    uint32_t indices[48];
    for (uint32_t i = 0; i < 48; i++)
        indices[i] = i + 5;
    mn_batches_opts opts = default_opts();
    opts.shuffle = true;
    opts.indices = indices;
    opts.index_count = 48;
    mn_batches *batches = create(&opts);
    mn_batch batch;
    uint32_t seen[images] = {0};
    mn_batches_begin(batches, 9);
    while (mn_batches_next(batches, &batch))
        for (uint32_t i = 0; i < batch.count; i++)
            seen[batch.index[i]]++;
    for (uint32_t i = 0; i < images; i++)
        assert_int_equal(seen[i], i >= 5);
    mn_batches_free(batches);
}

static void test_smaller_than_a_batch(void **state)
{
    (void)state;
    const uint32_t indices[] = {4, 2, 9};
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        mn_batches_opts opts = default_opts();
        opts.shuffle = shuffle != 0;
        opts.indices = indices;
        opts.index_count = 3;
        mn_batches *batches = create(&opts);
        mn_batch batch;
        assert_int_equal(mn_batches_per_epoch(batches), 1);
        mn_batches_begin(batches, 0);
        assert_true(mn_batches_next(batches, &batch));
        assert_int_equal(batch.count, 3);
        assert_int_equal(batch.index[0] + batch.index[1] + batch.index[2], 15);
        check_plain(&batch, 8);
        assert_false(mn_batches_next(batches, &batch));
        mn_batches_free(batches);
        opts.index_count = 0; /* an empty list is fine and has no batch */
        batches = create(&opts);
        assert_int_equal(mn_batches_per_epoch(batches), 0);
        mn_batches_begin(batches, 0);
        assert_false(mn_batches_next(batches, &batch));
        mn_batches_free(batches);
    }
}

static mn_batches_opts augmented_opts(void)
{
    mn_batches_opts opts = default_opts();
    opts.shuffle = true;
    opts.augmentation = (mn_augmentation){.crop_padding = 1, .flip = MN_FLIP_RANDOM, .cutout = 2};
    return opts;
}

/* Same options, same epoch, same batches: whoever is slow, whatever came before. */
static void test_timing_does_not_show(void **state)
{
    (void)state;
    mn_batches_opts opts = augmented_opts();
    opts.augmentation.mixup = 0.5f;
    mn_batches *a = create(&opts);
    mn_batches *b = create(&opts);
    mn_batch batch;
    uint64_t expected[4];
    for (uint64_t epoch = 0; epoch < 4; epoch++)
        expected[epoch] = epoch_hash(a, epoch, false);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(expected[i] != expected[k]);
    for (uint64_t epoch = 4; epoch-- > 0;) {
        assert_true(epoch_hash(b, epoch, true) == expected[epoch]);
        /* Leave an epoch in the middle, at every stage of the ring. */
        mn_batches_begin(b, 77);
        for (uint64_t k = 0; k < epoch; k++)
            assert_true(mn_batches_next(b, &batch));
    }
    for (int i = 0; i < 300; i++)
        mn_batches_begin(b, (uint64_t)i);
    assert_true(epoch_hash(b, 2, false) == expected[2]);
    mn_batches_free(b);
    opts.seed++;
    b = create(&opts);
    assert_true(epoch_hash(b, 0, false) != expected[0]);
    mn_batches_free(b);
    mn_batches_free(a);
}

/* Which images a plain stream mirrors in an epoch, from its pixels. */
static void mirrored_in(mn_batches *batches, uint64_t epoch, bool ret_mirrored[images])
{
    mn_batch batch;
    mn_batches_begin(batches, epoch);
    while (mn_batches_next(batches, &batch))
        for (uint32_t i = 0; i < batch.count; i++) {
            const uint8_t *image = pixels + batch.index[i] * elements;
            bool same = true;
            bool turned = true;
            for (size_t x = 0; x < w; x++) {
                float actual = batch.images[i * elements + x];
                same = same && actual == ((float)image[x * c] - 100.0f) * 0.5f;
                turned = turned && actual == ((float)image[(w - 1 - x) * c] - 100.0f) * 0.5f;
            }
            assert_true(same != turned);
            ret_mirrored[batch.index[i]] = turned;
        }
}

/* Two epochs show both sides of every image, whatever the batches and their order. */
static void test_flip_alternates(void **state)
{
    (void)state;
    mn_batches_opts opts = default_opts();
    opts.augmentation.flip = MN_FLIP_ALTERNATING;
    opts.batch = 7;
    bool first[images] = {false};
    bool later[images] = {false};
    mn_batches *batches = create(&opts);
    mirrored_in(batches, 0, first);
    uint32_t count = 0;
    for (uint32_t i = 0; i < images; i++)
        count += first[i];
    assert_in_range(count, 15, 38); /* 26.5 expected, deviation 3.6 */
    for (uint64_t epoch = 1; epoch < 5; epoch++) {
        mirrored_in(batches, epoch, later);
        for (uint32_t i = 0; i < images; i++)
            assert_int_equal(later[i], first[i] != (epoch % 2 == 1));
    }
    mn_batches_free(batches);
    opts.shuffle = true;
    opts.batch = images;
    batches = create(&opts);
    mirrored_in(batches, 6, later);
    assert_memory_equal(first, later, sizeof first);
    mn_batches_free(batches);
    opts.seed++;
    batches = create(&opts);
    mirrored_in(batches, 0, later);
    assert_memory_not_equal(first, later, sizeof first);
    mn_batches_free(batches);
}

/* A stream with mixup against the same one without: images, labels and lambda of every batch. */
static void check_mixed(const mn_batch *mixed, const mn_batch *plain)
{
    const uint32_t n = plain->count;
    const float lambda = mixed->lambda;
    assert_int_equal(mixed->count, n);
    assert_true(lambda >= 0.0f && lambda <= 1.0f);
    assert_null(plain->other_labels);
    assert_true(plain->lambda == 1.0f);
    assert_memory_equal(mixed->labels, plain->labels, n * sizeof(uint16_t));
    assert_memory_equal(mixed->index, plain->index, n * sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(mixed->other_labels[i], plain->labels[n - 1 - i]);
        for (size_t k = 0; k < elements; k++) {
            float own = plain->images[i * elements + k];
            float other = plain->images[(n - 1 - i) * elements + k];
            float expected = lambda * own + (1.0f - lambda) * other;
            float distance = mixed->images[i * elements + k] - expected;
            assert_true(distance > -1e-4f && distance < 1e-4f);
        }
    }
    for (size_t k = n * elements; k < 8 * elements; k++)
        assert_true(mixed->images[k] == 0.0f);
}

static void test_mixup(void **state)
{
    (void)state;
    uint32_t distinct = 0;
    float last = -1.0f;
    for (int shuffle = 0; shuffle < 2; shuffle++) { /* in order, the last batch has 5 images */
        mn_batches_opts opts = augmented_opts();
        opts.shuffle = shuffle != 0;
        mn_batches *plain = create(&opts);
        opts.augmentation.mixup = 1.0f;
        mn_batches *mixed = create(&opts);
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            mn_batch a, b;
            mn_batches_begin(plain, epoch);
            mn_batches_begin(mixed, epoch);
            while (mn_batches_next(plain, &a)) {
                assert_true(mn_batches_next(mixed, &b));
                check_mixed(&b, &a);
                distinct += b.lambda != last;
                last = b.lambda;
            }
            assert_false(mn_batches_next(mixed, &b));
        }
        mn_batches_free(mixed);
        mn_batches_free(plain);
    }
    assert_int_equal(distinct, 3 * 7 + 3 * 6); /* every batch has a lambda of its own */
}

/* Two batch sizes cut the same stream of augmented images: the draw belongs to the position. */
static void test_position_decides(void **state)
{
    (void)state;
    mn_batches_opts opts = augmented_opts();
    mn_batch large, small;
    mn_batches *a = create(&opts);
    opts.batch = 4;
    mn_batches *b = create(&opts);
    mn_batches_begin(a, 5);
    mn_batches_begin(b, 5);
    while (mn_batches_next(a, &large)) {
        for (uint32_t half = 0; half < 2; half++) {
            assert_true(mn_batches_next(b, &small));
            assert_memory_equal(
                small.images, large.images + half * 4 * elements, 4 * elements * sizeof(float));
            assert_memory_equal(small.index, large.index + half * 4, 4 * sizeof(uint32_t));
        }
    }
    mn_batches_free(b);
    mn_batches_free(a);
}

/* Freed while the helper waits, fills, or has filled everything. */
static void test_free_at_any_time(void **state)
{
    (void)state;
    mn_batches_opts opts = augmented_opts();
    mn_batch batch;
    mn_batches_free(NULL);
    for (int round = 0; round < 100; round++) {
        mn_batches *batches = create(&opts);
        if (round % 3 > 0)
            mn_batches_begin(batches, 1);
        if (round % 3 > 1)
            mn_batches_next(batches, &batch);
        if (round % 2 == 0)
            pause_us(100);
        mn_batches_free(batches);
    }
}

static void test_bad_options(void **state)
{
    (void)state;
    const uint32_t indices[] = {0, images};
    mn_batches_opts opts = default_opts();
    mn_batches *batches = NULL;
    mn_error err;
    opts.batch = 0;
    assert_error(mn_batches_create(&opts, &batches, &err), MN_ERR_ARG, &err, "batch 0, expected");
    opts = default_opts();
    opts.augmentation.flip = (mn_flip)3;
    assert_error(
        mn_batches_create(&opts, &batches, &err), MN_ERR_ARG, &err, "batches: flip: no number 3");
    static const float bad_alphas[] = {-0.1f, 4.1f, __builtin_nanf("")};
    for (int i = 0; i < 3; i++) {
        opts = default_opts();
        opts.augmentation.mixup = bad_alphas[i];
        assert_error(mn_batches_create(&opts, &batches, &err), MN_ERR_ARG, &err, "mixup: ");
    }
    opts = default_opts();
    opts.indices = indices;
    opts.index_count = 2;
    assert_error(mn_batches_create(&opts, &batches, &err),
                 MN_ERR_ARG,
                 &err,
                 "batches: index 1 is 53, out of range [0,53)");
    opts = default_opts();
    mn_dataset wide = dataset;
    wide.shape.w = UINT32_MAX;
    opts.dataset = &wide;
    assert_error(mn_batches_create(&opts, &batches, &err), MN_ERR_LIMIT, &err, "expected sides");
    wide.shape = (mn_shape){1u << 28, 1u << 28, 64};
    assert_error(mn_batches_create(&opts, &batches, &err), MN_ERR_NOMEM, &err, "no memory for 3");
    assert_null(batches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_shuffled_complete),
        cmocka_unit_test(test_smaller_than_a_batch),
        cmocka_unit_test(test_timing_does_not_show),
        cmocka_unit_test(test_flip_alternates),
        cmocka_unit_test(test_mixup),
        cmocka_unit_test(test_position_decides),
        cmocka_unit_test(test_free_at_any_time),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
