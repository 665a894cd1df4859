/* Jobs and results as lines: what is printed is read back, and no damage crashes a reader. */
#include "test.h"

#include "base/random.h"
#include "genotype_samples.h"
#include "memnet/moves.h"
#include "search/job.h"

/* ---- jobs ------------------------------------------------------------------------------------ */

static mn__job make_job(uint64_t seed)
{
    mn__job job = {.kind = MN__JOB_TRAIN,
                   .genotype = sample_base(1),
                   .train = mn_train_opts_default(),
                   .images = 123,
                   .split_seed = seed,
                   .split_fraction = 0.1};
    job.train.seed = seed;
    job.weights = strdup("a study/weights/\xc3\xbc \"x\".safetensors");
    job.checkpoint = strdup("");
    return job;
}

/* Makes the job one of a child with its parent. */
static void add_parent(mn__job *job, size_t which)
{
    mn_error err;
    mn_candidates *children = NULL;
    job->parent = job->genotype;
    assert_ok(mn_moves_augment(&job->parent, &children, &err), &err);
    mn_candidate *child = &children->items[which];
    job->genotype = child->genotype;
    job->map = child->map;
    child->map = (mn_layer_map){0}; /* given to the job */
    job->has_parent = true;
    job->parent_weights = strdup("p.safetensors");
    mn_candidates_free(children);
}

static void check_same(const mn__job *a, const mn__job *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(mn_genotype_equal(&a->genotype, &b->genotype));
    assert_string_equal(a->weights, b->weights);
    assert_true(a->train.epochs == b->train.epochs && a->train.batch == b->train.batch);
    assert_true(a->train.learning_rate == b->train.learning_rate);
    assert_true(a->train.momentum == b->train.momentum);
    assert_true(a->train.weight_decay == b->train.weight_decay);
    assert_true(a->train.label_smoothing == b->train.label_smoothing);
    assert_true(a->train.beta_rate == b->train.beta_rate);
    assert_true(a->train.average == b->train.average);
    assert_true(a->train.dirac == b->train.dirac && a->train.whiten == b->train.whiten);
    assert_true(a->train.schedule == b->train.schedule && a->train.threads == b->train.threads);
    assert_true(a->train.augmentation.crop_padding == b->train.augmentation.crop_padding);
    assert_true(a->train.augmentation.flip == b->train.augmentation.flip);
    assert_true(a->train.augmentation.cutout == b->train.augmentation.cutout);
    assert_true(a->train.augmentation.mixup == b->train.augmentation.mixup);
    assert_true(a->train.seed == b->train.seed && a->split_seed == b->split_seed);
    assert_true(a->split_fraction == b->split_fraction && a->images == b->images);
    assert_string_equal(a->checkpoint, b->checkpoint);
    assert_int_equal(a->has_parent, b->has_parent);
    if (!a->has_parent)
        return;
    assert_true(mn_genotype_equal(&a->parent, &b->parent));
    assert_string_equal(a->parent_weights, b->parent_weights);
    assert_int_equal(a->map.count, b->map.count);
    assert_memory_equal(a->map.parent, b->map.parent, a->map.count * sizeof *a->map.parent);
}

static void check_round_trip(const mn__job *job)
{
    mn_error err;
    char *line = NULL;
    mn__job again = {0};
    assert_ok(mn__job_print(job, &line, &err), &err);
    assert_null(strchr(line, '\n'));
    assert_ok(mn__job_parse(line, strlen(line), &again, &err), &err);
    check_same(job, &again);
    mn__job_done(&again);
    free(line);
}

static void test_jobs_come_back(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {
        0, 1, UINT64_C(1) << 53, (UINT64_C(1) << 53) + 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        mn__job job = make_job(seeds[i]);
        job.train.learning_rate = 0.1f + (float)i;
        job.train.schedule = i % 2 == 0 ? MN_SCHEDULE_COSINE : MN_SCHEDULE_ONE_CYCLE;
        job.train.beta_rate = 64.0f / (1.0f + (float)i);
        job.train.average = 0.1f * (float)i;
        job.train.dirac = i % 3 == 0;
        job.train.whiten = i % 3 == 1;
        job.train.augmentation.flip = (mn_flip)(i % 3);
        job.train.augmentation.mixup = 0.3f * (float)i;
        job.split_fraction = 1.0 / 3.0;
        job.images = i % 2 == 0 ? UINT32_MAX - 1 : 1;
        check_round_trip(&job);
        add_parent(&job, 17 * i);
        free(job.checkpoint);
        job.checkpoint = strdup("w.checkpoint");
        check_round_trip(&job);
        job.kind = MN__JOB_KEEP;
        check_round_trip(&job);
        mn__job_done(&job);
    }
}

static void test_test_jobs_come_back(void **state)
{
    (void)state;
    mn_error err;
    char *line = NULL;
    mn__job job = {.kind = MN__JOB_TEST, .genotype = sample_base(2), .weights = strdup("w")};
    mn__job again = {0};
    assert_ok(mn__job_print(&job, &line, &err), &err);
    assert_ok(mn__job_parse(line, strlen(line), &again, &err), &err);
    assert_int_equal(again.kind, MN__JOB_TEST);
    assert_true(mn_genotype_equal(&job.genotype, &again.genotype));
    assert_string_equal(again.weights, "w");
    mn__job_done(&again);
    mn__job_done(&again);
    mn__job_done(&job);
    free(line);
}

/* Weights are kept from a parent, so there must be one. */
static void test_keep_without_parent(void **state)
{
    (void)state;
    mn_error err;
    char *line = NULL;
    mn__job job = make_job(1);
    mn__job untouched = {.images = 77};
    job.kind = MN__JOB_KEEP;
    assert_ok(mn__job_print(&job, &line, &err), &err);
    assert_error(
        mn__job_parse(line, strlen(line), &untouched, &err), MN_ERR_FORMAT, &err, "no parent");
    assert_int_equal(untouched.images, 77);
    mn__job_done(&job);
    free(line);
}

/* Replaces the first `from` of a line; the caller frees. */
static char *edited(const char *line, const char *from, const char *to)
{
    const char *at = strstr(line, from);
    if (at == NULL)
        fail_msg("'%s' is not in the line", from);
    size_t bytes = strlen(line) + strlen(to) + 1;
    char *text = malloc(bytes);
    assert_non_null(text);
    snprintf(text, bytes, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
    return text;
}

static void test_wrong_jobs(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"\"kind\":\"train\"", "\"kind\":\"trian\"", "kind"},
        {"\"kind\":\"train\"", "\"kind\":1", "kind"},
        {"\"genotype\":{", "\"genome\":{", "genotype"},
        {"\"stride\":1", "\"stride\":0", "stride"},
        {"\"images\":123", "\"images\":-1", "images"},
        {"\"images\":123", "\"images\":4294967295", "images"},
        {"\"images\":123", "\"images\":\"123\"", "images"},
        {"\"split_seed\":\"5\"", "\"split_seed\":5", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\"\"", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\"-5\"", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\"+5\"", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\" 5\"", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\"5x\"", "split_seed"},
        {"\"split_seed\":\"5\"", "\"split_seed\":\"18446744073709551616\"", "split_seed"},
        {"\"epochs\":10", "\"epochs\":0", "epochs"},
        {"\"batch\":64", "\"batch\":0", "batch"},
        {"\"batch\":64", "\"batch\":1e2", "batch"},
        {"\"momentum\":", "\"momentum\":1e300,\"momentun\":", "momentum"},
        {"\"beta_rate\":", "\"bate_rate\":", "beta_rate"},
        {"\"dirac\":false", "\"dirac\":0", "dirac"},
        {"\"whiten\":false", "\"whiten\":0", "whiten"},
        {"\"average\":0.0", "\"average\":1.0", "average"},
        {"\"beta_rate\":1.0", "\"beta_rate\":1001.0", "beta rate"},
        {"\"flip\":1", "\"flip\":true", "flip"},
        {"\"flip\":1", "\"flip\":3", "no flip 3"},
        {"\"mixup\":0.0", "\"mixup\":-1.0", "mixup"},
        {"\"schedule\":1", "\"schedule\":2", "schedule"},
        {"\"train\":{", "\"trains\":{", "train"},
        {"\"checkpoint\":\"\"", "\"checkpoint\":null", "checkpoint"},
        {"\"parent\":{", "\"parent\":5,\"father\":{", "parent"},
        {"\"parent\":{", "\"father\":{", "parent"},
        {"\"map\":[0", "\"map\":[600", "out of range"},
        {"\"map\":[0", "\"map\":[-1", "map"},
        {"\"map\":[", "\"chart\":[", "map"},
    };
    mn_error err;
    char *line = NULL;
    mn__job job = make_job(5);
    add_parent(&job, 3);
    assert_ok(mn__job_print(&job, &line, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = edited(line, cases[i].from, cases[i].to);
        mn__job untouched = {.images = 77};
        assert_error(mn__job_parse(text, strlen(text), &untouched, &err),
                     err.status == MN_ERR_ARG ? MN_ERR_ARG : MN_ERR_FORMAT,
                     &err,
                     cases[i].message);
        assert_int_equal(untouched.images, 77);
        assert_null(untouched.weights);
        free(text);
    }
    free(line);
    mn__job_done(&job);
}

/* Cuts and overwrites a line everywhere; `parse` must refuse it or read something whole. */
static void damage(const char *line, void (*parse)(const char *text, size_t count))
{
    static const char bytes[] = {'\0', '"', '{', ']', '9', '-', '\xff', ','};
    size_t length = strlen(line);
    for (size_t i = 0; i < length; i++) {
        char *copy = malloc(length); /* exactly its bytes: a sanitizer sees any read past them */
        assert_non_null(copy);
        memcpy(copy, line, length);
        parse(copy, i);
        copy[i] = bytes[i % sizeof bytes];
        parse(copy, length);
        free(copy);
    }
}

static void parse_as_job(const char *text, size_t count)
{
    mn_error err = {0};
    mn__job job = {0};
    mn_status status = mn__job_parse(text, count, &job, &err);
    if (status == MN_OK)
        assert_ok(mn_genotype_check(&job.genotype, &err), &err);
    else
        assert_true(err.message[0] != '\0');
    mn__job_done(&job);
}

static void test_damaged_jobs(void **state)
{
    (void)state;
    mn_error err;
    char *line = NULL;
    mn__job job = make_job(UINT64_MAX);
    add_parent(&job, 90);
    assert_ok(mn__job_print(&job, &line, &err), &err);
    damage(line, parse_as_job);
    free(line);
    mn__job_done(&job);
}

/* ---- results --------------------------------------------------------------------------------- */

static void test_results_come_back(void **state)
{
    (void)state;
    mn_error err;
    mn_random random = mn_random_make(8, 0);
    for (int i = 0; i < 200; i++) {
        char reason[] = "epoch 2: the loss is not finite";
        char curve[] = "[[1,2.5,33.25]]";
        char *line = NULL;
        bool failed = i % 3 == 1;
        bool fatal = i % 3 == 2;
        mn__result result = {.failed = failed,
                             .fatal = fatal,
                             .reason = i % 3 == 0 ? NULL : reason,
                             .accuracy = 100.0 * (double)mn_random_next(&random) / 0x1p64,
                             .loss = (double)mn_random_next(&random) / 0x1p60,
                             .curve_json = i % 2 == 0 ? NULL : curve,
                             .train_ms = (int64_t)(mn_random_next(&random) >> 1)};
        mn__result again = {0};
        assert_ok(mn__result_print(&result, &line, &err), &err);
        assert_ok(mn__result_parse(line, strlen(line), &again, &err), &err);
        assert_true(again.failed == failed && again.fatal == fatal);
        assert_string_equal(again.reason, i % 3 == 0 ? "" : reason);
        assert_string_equal(again.curve_json, i % 2 == 0 ? "[]" : curve);
        assert_true(again.accuracy == (failed || fatal ? 0.0 : result.accuracy)); /* every bit */
        assert_true(again.loss == (failed || fatal ? 0.0 : result.loss));
        assert_true(again.train_ms == result.train_ms);
        mn__result_done(&again);
        free(line);
    }
}

/* A failed training may have no numbers, and a reason may hold any bytes of a path. */
static void test_failed_results_always_print(void **state)
{
    (void)state;
    mn_error err;
    char *line = NULL;
    char reason[] = "stu\xfc"
                    "die \xc3: no room";
    mn__result again = {0};
    mn__result result = {.fatal = true, .reason = reason, .accuracy = 0.0 / 0.0, .loss = 1.0 / 0.0};
    assert_ok(mn__result_print(&result, &line, &err), &err);
    assert_ok(mn__result_parse(line, strlen(line), &again, &err), &err);
    assert_string_equal(again.reason, "stu?die ?: no room");
    mn__result_done(&again);
    free(line);
}

static void parse_as_result(const char *text, size_t count)
{
    mn_error err = {0};
    mn__result result = {0};
    if (mn__result_parse(text, count, &result, &err) == MN_OK) {
        assert_true(result.train_ms >= 0);
        assert_non_null(result.curve_json);
    } else {
        assert_true(err.message[0] != '\0');
    }
    mn__result_done(&result);
}

static void test_damaged_results(void **state)
{
    (void)state;
    static const char line[] =
        "{\"failed\":false,\"fatal\":false,\"reason\":\"\",\"accuracy\":12.5,"
        "\"loss\":0.5,\"curve\":\"[[1,0.5,12.5]]\",\"train_ms\":123}";
    static const char *const wrong[] = {"", "5", "null", "[]", "{}", "nonsense"};
    damage(line, parse_as_result);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mn_error err;
        mn__result result = {0};
        assert_error(mn__result_parse(wrong[i], strlen(wrong[i]), &result, &err),
                     MN_ERR_FORMAT,
                     &err,
                     "result");
        assert_null(result.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_come_back),
        cmocka_unit_test(test_test_jobs_come_back),
        cmocka_unit_test(test_keep_without_parent),
        cmocka_unit_test(test_wrong_jobs),
        cmocka_unit_test(test_damaged_jobs),
        cmocka_unit_test(test_results_come_back),
        cmocka_unit_test(test_failed_results_always_print),
        cmocka_unit_test(test_damaged_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
