/* The worker in this process: one result line for each job line, whatever the line is, and which
 * failures are the network's and which the machine's. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "data_files.h"
#include "memnet/search.h"
#include "search/job.h"

enum { most_results = 32 };

typedef struct bench {
    char *folder;
    int data_fd;
    uint32_t count;
    mn__result results[most_results];
} bench;

static bench *begin_with(uint32_t train_count)
{
    bench *b = calloc(1, sizeof *b);
    mn_dataset *dataset = NULL;
    data_toy toy = {.train_count = train_count,
                    .test_count = 12,
                    .classes = 3,
                    .h = 8,
                    .w = 8,
                    .c = 1,
                    .seed = 1};
    b->folder = data_folder_make();
    data_toy_write_npy(b->folder, &toy, false);
    char *spec = data_spec_make("npy:", b->folder);
    mn_error err;
    assert_ok(mn_dataset_open(spec, &dataset, &err), &err);
    assert_ok(mn_dataset_share(dataset, &b->data_fd, &err), &err);
    mn_dataset_free(dataset);
    free(spec);
    return b;
}

static int begin(void **state)
{
    *state = begin_with(60);
    return 0;
}

/* Half of these validate: more than judge an epoch that is not the last. */
static int begin_large(void **state)
{
    *state = begin_with(2400);
    return 0;
}

static void forget(bench *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        mn__result_done(&b->results[i]);
    b->count = 0;
}

static int end(void **state)
{
    bench *b = *state;
    forget(b);
    close(b->data_fd);
    data_folder_remove(b->folder);
    free(b);
    return 0;
}

/* Runs a worker on these bytes; its results. */
static void work(bench *b, const char *input, size_t count)
{
    mn_error err;
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    char *line = NULL;
    size_t room = 0;
    assert_true(in != NULL && out != NULL);
    assert_int_equal(fwrite(input, 1, count, in), count);
    rewind(in);
    assert_ok(mn_worker_run(fileno(in), fileno(out), b->data_fd, &err), &err);
    rewind(out);
    forget(b);
    for (ssize_t n = getline(&line, &room, out); n > 0; n = getline(&line, &room, out)) {
        assert_true(b->count < most_results);
        assert_ok(mn__result_parse(line, (size_t)n, &b->results[b->count++], &err), &err);
    }
    free(line);
    fclose(in);
    fclose(out);
}

static mn__job small_job(const bench *b)
{
    mn__job job = {.kind = MN__JOB_TRAIN,
                   .genotype = {.input = {8, 8, 1}, .classes = 3, .block_count = 1},
                   .train = mn_train_opts_default(),
                   .images = 1000,
                   .split_seed = 1,
                   .split_fraction = 0.2,
                   .weights = mn_path_join(b->folder, "w.safetensors"),
                   .checkpoint = strdup("")};
    job.genotype.blocks[0] = (mn_block){.stride = 2, .width = 4, .cell_count = 1};
    job.genotype.blocks[0].cells[0] =
        (mn_cell){.op = {MN_OP_CONV_3X3, MN_OP_MAX_POOL}, .out = true};
    job.train.epochs = 3;
    job.train.batch = 16;
    return job;
}

/* Runs one job and frees it. */
static const mn__result *run(bench *b, mn__job *job)
{
    mn_error err;
    char *line = NULL;
    assert_ok(mn__job_print(job, &line, &err), &err);
    work(b, line, strlen(line)); /* a last line without its newline counts */
    assert_int_equal(b->count, 1);
    free(line);
    mn__job_done(job);
    return &b->results[0];
}

static void test_trains_and_tests(void **state)
{
    bench *b = *state;
    mn__job job = small_job(b);
    const mn__result *result = run(b, &job);
    if (result->failed || result->fatal)
        fail_msg("%s", result->reason);
    assert_true(result->accuracy >= 0.0 && result->accuracy <= 100.0);
    assert_int_equal(strncmp(result->curve_json, "[[1,", 4), 0);
    job = small_job(b);
    job.kind = MN__JOB_TEST;
    result = run(b, &job);
    assert_false(result->failed || result->fatal);
    assert_string_equal(result->curve_json, "[]");
}

static uint32_t points(const mn__result *result)
{
    uint32_t count = 0;
    if (result->failed || result->fatal)
        fail_msg("%s", result->reason);
    for (const char *c = result->curve_json; *c != '\0'; c++)
        count += *c == '[';
    return count - 1;
}

/* An accuracy in percent of so many images. */
static bool is_of(double accuracy, uint32_t images)
{
    double correct = accuracy / 100.0 * images;
    return fabs(correct - round(correct)) < 1e-3;
}

/* On the way 500 of the 1,200 validation images judge, at the end all of them. */
static void test_judges(void **state)
{
    bench *b = *state;
    double accuracy[3] = {0.0};
    mn__job job = small_job(b);
    job.split_fraction = 0.5;
    job.images = 600;
    job.train.learning_rate = 1e-4F; /* learns little: not all are right */
    const mn__result *result = run(b, &job);
    assert_int_equal(points(result), 3);
    assert_int_equal(sscanf(result->curve_json,
                            "[[1,%*f,%lf],[2,%*f,%lf],[3,%*f,%lf]]",
                            &accuracy[0],
                            &accuracy[1],
                            &accuracy[2]),
                     3);
    assert_true(is_of(accuracy[0], 500) && is_of(accuracy[1], 500));
    assert_false(is_of(accuracy[2], 500)); /* 1 in 12 would be, were the numbers others */
    assert_true(is_of(accuracy[2], 1200));
    assert_true(fabs(result->accuracy - accuracy[2]) < 1e-4); /* as it is printed */
}

/* A training that is stopped on its way is judged by all images, too. */
static void test_judges_the_hopeless(void **state)
{
    bench *b = *state;
    double accuracy[2] = {0.0};
    mn__job job = small_job(b);
    job.split_fraction = 0.5;
    job.images = 600;
    job.train.learning_rate = 1e-4F; /* learns little: not all are right */
    job.hopeless = 100.0;
    const mn__result *result = run(b, &job);
    assert_int_equal(points(result), 2);
    assert_int_equal(
        sscanf(result->curve_json, "[[1,%*f,%lf],[2,%*f,%lf]]", &accuracy[0], &accuracy[1]), 2);
    assert_true(is_of(accuracy[0], 500));
    assert_false(is_of(accuracy[1], 500)); /* as above */
    assert_true(is_of(accuracy[1], 1200));
    assert_true(fabs(result->accuracy - accuracy[1]) < 1e-4); /* as it is printed */
}

/* No accuracy is below 0, and none above 100. */
static void test_hopeless_trainings_stop_after_two_thirds(void **state)
{
    static const struct {
        double hopeless;
        uint32_t epochs, trained;
    } cases[] = {
        {0.0, 6, 6}, {100.0, 6, 4}, {100.0, 5, 4}, {100.0, 3, 2}, {100.0, 2, 2}, {100.0, 1, 1}};
    bench *b = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mn__job job = small_job(b);
        job.hopeless = cases[i].hopeless;
        job.train.epochs = cases[i].epochs;
        assert_int_equal(points(run(b, &job)), cases[i].trained);
    }
}

/* The checkpoint of a training that is killed behind two thirds of its epochs holds no accuracy;
 * that must not count as an accuracy of 0. */
static void test_a_continued_training_is_not_hopeless_at_once(void **state)
{
    bench *b = *state;
    for (int turn = 0; turn < 2; turn++) {
        mn__job job = small_job(b);
        free(job.checkpoint);
        job.checkpoint = mn_path_join(b->folder, "progress");
        job.hopeless = turn == 0 ? 0.0 : 1e-6;
        const mn__result *result = run(b, &job); /* leaves the checkpoint behind its second epoch */
        assert_int_equal(points(result), 3);
        assert_true(result->accuracy > 0.0);
    }
}

static void test_one_result_for_each_line(void **state)
{
    bench *b = *state;
    static const char lines[] = "\n{}\nnonsense\n[1,2]\n{\"kind\":\"test\"}\n\xff\xfe\n\0\n5";
    work(b, lines, sizeof lines - 1);
    assert_int_equal(b->count, 8);
    for (uint32_t i = 0; i < b->count; i++) {
        assert_true(b->results[i].fatal && !b->results[i].failed);
        assert_true(b->results[i].reason[0] != '\0');
    }
    work(b, "", 0);
    assert_int_equal(b->count, 0);
}

/* What a network does to itself is its failure. */
static void test_network_at_fault(void **state)
{
    bench *b = *state;
    mn__job job = small_job(b);
    job.train.learning_rate = 100.0f;
    job.train.epochs = 60;
    job.train.weight_decay = 1.0f;
    const mn__result *result = run(b, &job);
    assert_true(result->failed && !result->fatal);
    assert_non_null(strstr(result->reason, "finite"));
}

/* What the machine or the study does to a network is not. */
static void test_machine_at_fault(void **state)
{
    bench *b = *state;
    mn__job job = small_job(b);
    free(job.weights);
    job.weights = mn_path_join(b->folder, "no/such/folder/w.safetensors");
    assert_true(run(b, &job)->fatal);

    static const char half[] = "{\"half\":";
    data_file_write(b->folder, "parent.safetensors", half, sizeof half - 1);
    job = small_job(b);
    job.has_parent = true;
    job.parent = job.genotype;
    job.parent_weights = mn_path_join(b->folder, "parent.safetensors");
    const mn__result *result = run(b, &job);
    assert_true(result->fatal && !result->failed);
    assert_non_null(strstr(result->reason, "parent.safetensors"));

    job = small_job(b);
    job.genotype.classes = 4; /* not this data set's */
    assert_true(run(b, &job)->fatal);
}

/* With nobody to read its result a worker does not even begin. */
static void test_nobody_listens(void **state)
{
    bench *b = *state;
    mn_error err;
    int out[2];
    char *line = NULL;
    mn__job job = small_job(b);
    FILE *in = tmpfile();
    assert_non_null(in);
    assert_ok(mn__job_print(&job, &line, &err), &err);
    fprintf(in, "%s\n", line);
    rewind(in);
    assert_int_equal(pipe(out), 0);
    close(out[0]);
    assert_ok(mn_worker_run(fileno(in), out[1], b->data_fd, &err), &err);
    assert_false(mn_path_exists(job.weights));
    close(out[1]);
    fclose(in);
    free(line);
    mn__job_done(&job);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_LARGE(name) cmocka_unit_test_setup_teardown(name, begin_large, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trains_and_tests),
        TEST_LARGE(test_judges),
        TEST_LARGE(test_judges_the_hopeless),
        TEST(test_hopeless_trainings_stop_after_two_thirds),
        TEST(test_a_continued_training_is_not_hopeless_at_once),
        TEST(test_one_result_for_each_line),
        TEST(test_network_at_fault),
        TEST(test_machine_at_fault),
        TEST(test_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
