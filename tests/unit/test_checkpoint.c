/* Checkpoints: a training that was cut at any epoch ends where the uninterrupted one ends, bit by
 * bit; what does not fit is refused and leaves the trainer as it was. */
#include "train_fixture.h"

#include <math.h>

#include "base/file.h"
#include "graph/metadata.h"
#include "graph/safetensors.h"
#include "simd/simd.h"
#include "temporary.h"
#include "tensors_check.h"

enum { epochs = 4 };

static tiny_data data;

static int set_up(void **state)
{
    tiny_data_init(&data);
    return temporary_setup(state);
}

/* Trains from epoch `from` on, up to `to`; losses go to their places. */
static void train(mn_trainer *trainer, uint32_t from, uint32_t to, double *losses)
{
    mn_error err;
    for (uint32_t i = from; i < to; i++) {
        mn_epoch_result result;
        assert_ok(mn_trainer_epoch(trainer, &result, &err), &err);
        assert_int_equal(result.epoch, i + 1);
        losses[i] = result.loss;
    }
}

static mn_trainer_setup checkpoint_setup(const mn_graph *graph)
{
    mn_trainer_setup setup = tiny_setup(graph, &data);
    setup.opts.epochs = epochs;
    setup.opts.augmentation =
        (mn_augmentation){.crop_padding = 2, .flip = MN_FLIP_RANDOM, .cutout = 2};
    setup.index_count = 50;
    return setup;
}

static void check_cut(const mn_trainer_setup *setup, const char *path, uint32_t cut)
{
    double whole[epochs], parts[epochs];
    mn_error err;
    mn_trainer *trainer = tiny_trainer(setup);
    train(trainer, 0, epochs, whole);
    mn_tensors *expected = tiny_tensors(trainer);
    mn_trainer_free(trainer);

    trainer = tiny_trainer(setup);
    train(trainer, 0, cut, parts);
    assert_ok(mn_trainer_save(trainer, path, &err), &err);
    mn_trainer_free(trainer);

    /* The trainer that goes on has other weights and has trained itself: nothing of it may stay. */
    mn_tensors *other = tiny_random_tensors(setup->graph, 99);
    mn_trainer_setup again = *setup;
    double unused[epochs];
    again.initial = other;
    trainer = tiny_trainer(&again);
    train(trainer, 0, 1, unused);
    assert_ok(mn_trainer_resume(trainer, path, &err), &err);
    assert_int_equal(mn_trainer_epochs_done(trainer), cut);
    train(trainer, cut, epochs, parts);
    mn_tensors *actual = tiny_tensors(trainer);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_tensors_equal(expected, actual);
    mn_tensors_free(actual);
    mn_trainer_free(trainer);
    mn_tensors_free(other);
    mn_tensors_free(expected);
}

static void test_resumes_anywhere(void **state)
{
    char *path = mn_path_join(*state, "checkpoint");
    mn_genotype genotypes[] = {tiny_genotype(MN_HEAD_GAP), tiny_small_genotype()};
    for (int schedule = 0; schedule < 2; schedule++) {
        mn_graph *graph = tiny_lower(&genotypes[schedule]);
        mn_trainer_setup setup = checkpoint_setup(graph);
        setup.opts.schedule = schedule == 0 ? MN_SCHEDULE_COSINE : MN_SCHEDULE_ONE_CYCLE;
        for (uint32_t cut = 0; cut <= epochs; cut += schedule == 0 ? 2 : 1)
            check_cut(&setup, path, cut);
        mn_graph_free(graph);
    }
    free(path);
}

/* The averages go on too: they are what the tensors of the end are compared by. */
static void test_averages_resume(void **state)
{
    char *path = mn_path_join(*state, "checkpoint");
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = checkpoint_setup(graph);
    setup.opts.average = 0.8f;
    for (uint32_t cut = 0; cut <= epochs; cut++)
        check_cut(&setup, path, cut);
    mn_graph_free(graph);
    free(path);
}

/* A frozen weight in the file, and all that the number of the epoch decides. */
static void test_whitened_resume(void **state)
{
    char *path = mn_path_join(*state, "checkpoint");
    mn_genotype g = tiny_genotype(MN_HEAD_GAP);
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = checkpoint_setup(graph);
    mn_error err;
    setup.opts.whiten = true;
    setup.opts.augmentation.mixup = 0.4f;
    setup.opts.augmentation.flip = MN_FLIP_ALTERNATING;
    check_cut(&setup, path, 2);
    setup.opts.whiten = false;
    mn_trainer *trainer = tiny_trainer(&setup);
    assert_error(mn_trainer_resume(trainer, path, &err),
                 MN_ERR_MISMATCH,
                 &err,
                 "trained with 'whiten=1', now 'whiten=0'");
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    free(path);
}

/* Saving does not change the trainer either, and a second file replaces the first. */
static void test_saves_often(void **state)
{
    char *path = mn_path_join(*state, "checkpoint");
    mn_genotype g = tiny_small_genotype();
    mn_graph *graph = tiny_lower(&g);
    mn_trainer_setup setup = checkpoint_setup(graph);
    double whole[epochs], saved[epochs];
    mn_error err;
    mn_trainer *trainer = tiny_trainer(&setup);
    train(trainer, 0, epochs, whole);
    mn_trainer_free(trainer);
    trainer = tiny_trainer(&setup);
    for (uint32_t i = 0; i < epochs; i++) {
        train(trainer, i, i + 1, saved);
        assert_ok(mn_trainer_save(trainer, path, &err), &err);
    }
    assert_memory_equal(whole, saved, sizeof whole);
    assert_int_equal(count_files(*state), 1);
    mn_trainer_free(trainer);
    mn_graph_free(graph);
    free(path);
}

/* ---- what is refused ------------------------------------------------------------------------- */

/* A checkpoint after one epoch, and a trainer that must not change. */
typedef struct victim {
    char *path;
    mn_graph *graph;
    mn_trainer_setup setup;
    mn_trainer *trainer;
    mn_tensors *before;
} victim;

static victim victim_make(void **state, float average)
{
    victim v = {.path = mn_path_join(*state, "checkpoint")};
    mn_genotype g = tiny_small_genotype();
    double unused[epochs];
    mn_error err;
    v.graph = tiny_lower(&g);
    v.setup = checkpoint_setup(v.graph);
    v.setup.opts.average = average;
    v.trainer = tiny_trainer(&v.setup);
    train(v.trainer, 0, 1, unused);
    assert_ok(mn_trainer_save(v.trainer, v.path, &err), &err);
    train(v.trainer, 1, 2, unused);
    v.before = tiny_tensors(v.trainer);
    return v;
}

static void victim_done(victim *v)
{
    mn_tensors_free(v->before);
    mn_trainer_free(v->trainer);
    mn_graph_free(v->graph);
    free(v->path);
}

/* The victim refuses `path` with a message that names it and holds `text`. */
static void refuse(const victim *v, const char *path, mn_status expected, const char *text)
{
    mn_error err;
    assert_error(mn_trainer_resume(v->trainer, path, &err), expected, &err, text);
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(mn_trainer_epochs_done(v->trainer), 2);
    mn_tensors *after = tiny_tensors(v->trainer);
    assert_tensors_equal(v->before, after);
    mn_tensors_free(after);
}

/* After all refusals the trainer still ends where an undisturbed one ends. */
static void assert_unharmed(const victim *v)
{
    double undisturbed[epochs], harmed[epochs];
    mn_trainer *trainer = tiny_trainer(&v->setup);
    train(trainer, 0, epochs, undisturbed);
    train(v->trainer, 2, epochs, harmed);
    assert_memory_equal(undisturbed + 2, harmed + 2, 2 * sizeof(double));
    mn_trainer_free(trainer);
}

static void test_damaged_files(void **state)
{
    victim v = victim_make(state, 0.0f);
    char *damaged = mn_path_join(*state, "damaged");
    char *bytes = NULL;
    size_t count = 0;
    mn_error err;
    assert_ok(mn_file_read(v.path, 64 << 20, &bytes, &count, &err), &err);
    const size_t cuts[] = {0, 7, 8, 100, count / 2, count - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        assert_ok(mn_file_write(damaged, bytes, cuts[i], &err), &err);
        refuse(&v, damaged, MN_ERR_FORMAT, "damaged");
    }
    /* A weight that is not a number: all bits of the last float. */
    memset(bytes + count - 4, 0xff, 4);
    assert_ok(mn_file_write(damaged, bytes, count, &err), &err);
    refuse(&v, damaged, MN_ERR_MISMATCH, "expected a finite number");
    refuse(&v, *state, MN_ERR_IO, *state);
    assert_unharmed(&v);
    free(bytes);
    free(damaged);
    victim_done(&v);
}

/* Loads the checkpoint, lets `change` change it, stores it elsewhere and wants it refused. */
static void refuse_changed(const victim *v,
                           void **state,
                           void (*change)(mn_tensors *tensors, mn_metadata *metadata),
                           mn_status expected,
                           const char *text)
{
    char *path = mn_path_join(*state, "changed");
    mn_tensors *tensors = NULL;
    mn_metadata metadata;
    mn_error err;
    mn_metadata_init(&metadata);
    assert_ok(mn_safetensors_load(v->path, &tensors, &metadata, &err), &err);
    change(tensors, &metadata);
    assert_ok(mn_safetensors_save(path, tensors, &metadata, &err), &err);
    refuse(v, path, expected, text);
    mn_metadata_done(&metadata);
    mn_tensors_free(tensors);
    free(path);
}

static void lose_metadata(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)tensors;
    mn_metadata_done(metadata);
}

static void set_value(mn_metadata *metadata, const char *key, const char *value)
{
    for (uint32_t i = 0; i < metadata->count; i++)
        if (strcmp(metadata->keys[i], key) == 0) {
            free(metadata->values[i]);
            metadata->values[i] = strdup(value);
        }
}

static void claim_too_many_epochs(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)tensors;
    set_value(metadata, "epochs_done", "5");
}

static void claim_no_number(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)tensors;
    set_value(metadata, "epochs_done", "-1");
}

static void cut_description(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)tensors;
    set_value(metadata, "training", "network");
}

/* Gives the first tensor whose name begins so a name that nobody asks for. */
static void rename_one(mn_tensors *tensors, const char *prefix)
{
    for (uint32_t i = 0; i < tensors->count; i++)
        if (strncmp(tensors->items[i].name, prefix, strlen(prefix)) == 0) {
            tensors->items[i].name[0] = 'X';
            return;
        }
    fail_msg("no %s", prefix);
}

static void lose_velocity(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)metadata;
    rename_one(tensors, "velocity/");
}

static void lose_weight(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)metadata;
    rename_one(tensors, "head.fc.weight");
}

static void lose_average(mn_tensors *tensors, mn_metadata *metadata)
{
    (void)metadata;
    rename_one(tensors, "average/");
}

static void add_tensor(mn_tensors *tensors, mn_metadata *metadata)
{
    const uint32_t dims[] = {10};
    mn_tensor *added = NULL;
    mn_error err;
    (void)metadata;
    assert_ok(mn_tensors_add(tensors, "head.fc.more", MN_F32, 1, dims, &added, &err), &err);
}

static void test_lost_averages(void **state)
{
    victim v = victim_make(state, 0.9f);
    refuse_changed(&v, state, lose_average, MN_ERR_MISMATCH, "missing");
    assert_unharmed(&v);
    victim_done(&v);
}

static void test_changed_files(void **state)
{
    victim v = victim_make(state, 0.0f);
    refuse_changed(&v, state, lose_metadata, MN_ERR_FORMAT, "not a checkpoint of a training");
    refuse_changed(&v, state, claim_too_many_epochs, MN_ERR_ARG, "epochs_done");
    refuse_changed(&v, state, claim_no_number, MN_ERR_ARG, "epochs_done");
    refuse_changed(&v, state, cut_description, MN_ERR_MISMATCH, "trained with 'network', now");
    refuse_changed(&v, state, lose_velocity, MN_ERR_MISMATCH, "missing");
    refuse_changed(&v, state, lose_weight, MN_ERR_MISMATCH, "'head.fc.weight': missing");
    refuse_changed(&v, state, add_tensor, MN_ERR_MISMATCH, "tensors, expected");
    assert_unharmed(&v);
    victim_done(&v);
}

/* A trainer of `setup` refuses the victim's checkpoint and says what differs. */
static void refuse_for(const victim *v, const mn_trainer_setup *setup, const char *text)
{
    mn_error err;
    mn_trainer *trainer = tiny_trainer(setup);
    assert_error(mn_trainer_resume(trainer, v->path, &err), MN_ERR_MISMATCH, &err, text);
    assert_int_equal(mn_trainer_epochs_done(trainer), 0);
    mn_trainer_free(trainer);
}

static void test_other_trainings(void **state)
{
    victim v = victim_make(state, 0.0f);
    mn_trainer_setup s = v.setup;
    s.opts.epochs = 5;
    refuse_for(&v, &s, "trained with 'epochs=4', now 'epochs=5'");
    s = v.setup;
    s.opts.batch = 8;
    refuse_for(&v, &s, "trained with 'batch=16', now 'batch=8'");
    s = v.setup;
    s.opts.learning_rate = nextafterf(s.opts.learning_rate, 1.0f);
    refuse_for(&v, &s, "trained with 'rate=");
    s = v.setup;
    s.opts.momentum = 0.5f;
    refuse_for(&v, &s, "now 'momentum=0.5'");
    s = v.setup;
    s.opts.weight_decay = 0.0f;
    refuse_for(&v, &s, "now 'decay=0'");
    s = v.setup;
    s.opts.label_smoothing = 0.0f;
    refuse_for(&v, &s, "now 'smoothing=0'");
    s = v.setup;
    s.opts.beta_rate = 64.0f;
    refuse_for(&v, &s, "trained with 'beta_rate=1', now 'beta_rate=64'");
    s = v.setup;
    s.opts.average = 0.5f;
    refuse_for(&v, &s, "trained with 'average=0', now 'average=0.5'");
    s = v.setup;
    s.opts.augmentation.mixup = 0.5f;
    refuse_for(&v, &s, "trained with 'mixup=0', now 'mixup=0.5'");
    s = v.setup;
    s.opts.dirac = true;
    refuse_for(&v, &s, "trained with 'dirac=0', now 'dirac=1'");
    s = v.setup;
    s.opts.int8_weights = true;
    refuse_for(&v, &s, "trained with 'int8_weights=0', now 'int8_weights=1'");
    s = v.setup;
    s.opts.schedule = MN_SCHEDULE_COSINE;
    refuse_for(&v, &s, "trained with 'schedule=1', now 'schedule=0'");
    s = v.setup;
    s.opts.augmentation.flip = MN_FLIP_NONE;
    refuse_for(&v, &s, "now 'flip=0'");
    s = v.setup;
    s.opts.seed = UINT64_MAX;
    refuse_for(&v, &s, "now 'seed=18446744073709551615'");
    s = v.setup;
    s.preprocessing.mean = 0.0f;
    refuse_for(&v, &s, "now 'mean=0'");
    s = v.setup;
    s.indices = v.setup.indices + 1; /* as many images, but others */
    refuse_for(&v, &s, "trained with 'indices=");
    mn_dataset dataset = data.dataset;
    dataset.hash[3] = 'x';
    s = v.setup;
    s.dataset = &dataset;
    refuse_for(&v, &s, "trained with 'data=0123456789abcdef'");
    s = v.setup;
    s.dataset = NULL;
    refuse_for(&v, &s, "now 'data='");
    victim_done(&v);
}

/* Other instructions round in other places: what follows would not be the same training. */
static void test_other_instructions(void **state)
{
    victim v = victim_make(state, 0.0f);
    const char *most = getenv("MEMNET_ISA");
    char *kept = most == NULL ? NULL : strdup(most);
    bool portable = strcmp(mn__simd_choose(false)->name, "portable") == 0;
    assert_int_equal(setenv("MEMNET_ISA", "portable", 1), 0);
    if (!portable)
        refuse_for(&v, &v.setup, "now 'compute=portable'");
    assert_int_equal(kept == NULL ? unsetenv("MEMNET_ISA") : setenv("MEMNET_ISA", kept, 1), 0);
    assert_unharmed(&v);
    free(kept);
    victim_done(&v);
}

/* Networks whose tensors have the very same names and shapes. */
static void test_other_networks(void **state)
{
    victim v = victim_make(state, 0.0f);
    mn_genotype g = tiny_small_genotype();
    g.blocks[0].cells[1].op[1] = MN_OP_AVG_POOL;
    mn_graph *averaging = tiny_lower(&g);
    g = tiny_small_genotype();
    g.blocks[0].stride = 1;
    mn_graph *unstrided = tiny_lower(&g);
    mn_trainer_setup s = v.setup;
    s.graph = averaging;
    refuse_for(&v, &s, "trained with 'network=");
    s.graph = unstrided;
    refuse_for(&v, &s, "trained with 'network=");
    mn_graph_free(unstrided);
    mn_graph_free(averaging);
    victim_done(&v);
}

static void test_full_disk(void **state)
{
    victim v = victim_make(state, 0.0f);
    char *before = NULL;
    char *after = NULL;
    size_t before_count = 0;
    size_t after_count = 0;
    mn_error err;
    assert_ok(mn_file_read(v.path, 64 << 20, &before, &before_count, &err), &err);
    file_limit_set(1000);
    assert_error(mn_trainer_save(v.trainer, v.path, &err), MN_ERR_IO, &err, v.path);
    file_limit_lift();
    assert_ok(mn_file_read(v.path, 64 << 20, &after, &after_count, &err), &err);
    assert_int_equal(before_count, after_count);
    assert_memory_equal(before, after, before_count);
    assert_int_equal(count_files(*state), 1);
    free(after);
    free(before);
    victim_done(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resumes_anywhere, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_averages_resume, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_whitened_resume, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_saves_often, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_files, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_lost_averages, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_changed_files, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_other_trainings, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_other_instructions, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_other_networks, set_up, temporary_teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, temporary_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
