/*
 * Programs of steps: which of them run together, and in what order. Steps that write down when they
 * run, with random needs.
 */
#include "test.h"

#include "base/random.h"
#include "train/program.h"

enum { batch = 7, most_steps = 12, most_events = 2 * most_steps * (batch + 2) };

typedef enum kind { BEGIN, IMAGE, END } kind;

/* What a step wrote down. */
typedef struct event {
    uint32_t step;
    kind kind;
    uint32_t image, slice;
} event;

typedef struct diary {
    event events[most_events];
    uint32_t count;
} diary;

/* The context of a step. */
typedef struct entry {
    diary *diary; /* NULL: counts images only, as several threads at once may do */
    uint32_t step;
    uint32_t *runs;   /* (batch): how often, of this step */
    uint32_t *slices; /* (batch): by whom */
} entry;

static void note(const entry *e, kind kind, uint32_t image, uint32_t slice)
{
    if (e->diary == NULL)
        return;
    assert_true(e->diary->count < most_events);
    e->diary->events[e->diary->count++] =
        (event){.step = e->step, .kind = kind, .image = image, .slice = slice};
}

static void step_begin(const void *context, bool train)
{
    assert_true(train);
    note(context, BEGIN, 0, 0);
}

static void step_end(const void *context, bool train)
{
    assert_true(train);
    note(context, END, 0, 0);
}

static void step_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const entry *e = context;
    e->runs[image]++;
    e->slices[image] = worker->slice;
    note(e, IMAGE, image, worker->slice);
}

/* Two programs with random needs. */
typedef struct trial {
    mn__network net;
    diary diary;
    entry entries[2 * most_steps];
    uint32_t needs[2 * most_steps];
    uint32_t runs[2 * most_steps][batch], slices[2 * most_steps][batch];
    uint32_t steps;
} trial;

static void add_step(trial *t, mn__program *program, mn_random *random)
{
    mn_error err;
    const uint32_t n = t->steps++;
    t->entries[n] = (entry){.diary = t->net.opts.slices == 1 ? &t->diary : NULL,
                            .step = n,
                            .runs = t->runs[n],
                            .slices = t->slices[n]};
    t->needs[n] = MN_NONE;
    if (n > 0 && mn_random_below(random, 3) == 0)
        t->needs[n] = mn_random_below(random, n);
    t->net.needs = t->needs[n];
    const mn__step step = {
        .begin = step_begin, .image = step_image, .end = step_end, .context = &t->entries[n]};
    assert_int_equal(mn__next_step(&t->net), n);
    assert_ok(mn__program_add(&t->net, program, &step, &err), &err);
    assert_int_equal(t->net.needs, MN_NONE);
}

static trial *trial_create(mn_random *random, uint32_t slices)
{
    trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->net.opts = (mn__network_opts){.batch = batch, .slices = slices};
    const uint32_t forward = 1 + mn_random_below(random, most_steps);
    const uint32_t backward = 1 + mn_random_below(random, most_steps);
    for (uint32_t i = 0; i < forward; i++)
        add_step(t, &t->net.forward, random);
    for (uint32_t i = 0; i < backward; i++)
        add_step(t, &t->net.backward, random);
    return t;
}

static void trial_run(trial *t)
{
    mn__program_run(&t->net, &t->net.forward, 0, true);
    mn__program_run(&t->net, &t->net.backward, t->net.forward.count, true);
}

static void trial_free(trial *t)
{
    free(t->net.forward.steps);
    free(t->net.backward.steps);
    free(t);
}

/* No step needs the end of one in its own group; and no group ends early: the step behind it needs
 * one in it, or is the first backward one. */
static void check_groups(const trial *t, const uint32_t *group_of, uint32_t groups)
{
    assert_int_equal(group_of[0], 0);
    assert_int_equal(group_of[t->steps - 1], groups - 1);
    for (uint32_t n = 0; n < t->steps; n++) {
        if (t->needs[n] != MN_NONE)
            assert_true(group_of[t->needs[n]] < group_of[n]);
        if (n == 0 || group_of[n] == group_of[n - 1])
            continue;
        bool needed = t->needs[n] != MN_NONE && group_of[t->needs[n]] == group_of[n - 1];
        assert_int_equal(group_of[n], group_of[n - 1] + 1);
        assert_true(needed || n == t->net.forward.count);
    }
    assert_true(group_of[t->net.forward.count - 1] < group_of[t->net.forward.count]);
}

/* Group by group: all begin, each image passes through all steps, all end. */
static void check_order(const trial *t, const uint32_t *group_of)
{
    uint32_t next = 0;
    for (uint32_t from = 0, to; from < t->steps; from = to) {
        for (to = from; to < t->steps && group_of[to] == group_of[from];)
            to++;
        for (uint32_t round = 0; round < batch + 2; round++)
            for (uint32_t step = from; step < to; step++) {
                const event *e = &t->diary.events[next++];
                assert_int_equal(e->step, step);
                assert_int_equal(e->kind, round == 0 ? BEGIN : round <= batch ? IMAGE : END);
                if (e->kind == IMAGE)
                    assert_int_equal(e->image, round - 1);
            }
    }
    assert_int_equal(t->diary.count, next);
}

static void test_groups(void **state)
{
    (void)state;
    mn_random random = mn_random_make(37, 1);
    for (int i = 0; i < 500; i++) {
        mn_error err;
        uint32_t *group_of = NULL;
        uint32_t groups = 0;
        trial *t = trial_create(&random, 1);
        assert_ok(mn__groups_find(&t->net, &group_of, &groups, &err), &err);
        check_groups(t, group_of, groups);
        trial_run(t);
        check_order(t, group_of);
        free(group_of);
        trial_free(t);
    }
}

/* Every image passes through every step once, always with the same worker; shares differ by one
 * image at most. More workers than images leave some without. */
static void test_slices(void **state)
{
    (void)state;
    mn_random random = mn_random_make(37, 2);
    for (uint32_t slices = 1; slices <= batch + 2; slices++) {
        trial *t = trial_create(&random, slices);
        trial_run(t);
        for (uint32_t n = 0; n < t->steps; n++) {
            uint32_t shares[batch + 2] = {0};
            for (uint32_t image = 0; image < batch; image++) {
                assert_int_equal(t->runs[n][image], 1);
                assert_int_equal(t->slices[n][image], t->slices[0][image]);
                shares[t->slices[n][image]]++;
            }
            for (uint32_t slice = 0; slice < slices; slice++)
                assert_in_range(shares[slice], batch / slices, (batch + slices - 1) / slices);
        }
        trial_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
