/* What the tests of the study share: a fresh folder per test, a setup, and rows to put. */
#ifndef MN_STUDY_FIXTURE_H
#define MN_STUDY_FIXTURE_H

#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

#include "base/file.h"
#include "memnet/study.h"

typedef struct fixture {
    char root[64];  /* made and removed around each test */
    char dir[80];   /* the study, not made yet */
    char db[96];    /* its database */
    char other[80]; /* a second study */
} fixture;

static const uint64_t FIXTURE_BOUNDS[] = {131072, 65536};

static inline mn_study_setup fixture_setup(void)
{
    return (mn_study_setup){
        .options_json = "{\"top_k\": 8, \"lambda\": 0.1, \"epochs\": [1, 3]}",
        .data_hash = "0123456789abcdef",
        .seed = UINT64_MAX - 1,
        .bounds_bytes = FIXTURE_BOUNDS,
        .bound_count = 2,
    };
}

static inline int fixture_begin(void **state)
{
    fixture *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -1;
    /* In memory where there is such a place: these tests sync hundreds of times. */
    snprintf(made->root, sizeof made->root, "/dev/shm/memnet-study-XXXXXX");
    if (mkdtemp(made->root) == NULL) {
        snprintf(made->root, sizeof made->root, "/tmp/memnet-study-XXXXXX");
        if (mkdtemp(made->root) == NULL)
            return -1;
    }
    snprintf(made->dir, sizeof made->dir, "%s/study", made->root);
    snprintf(made->db, sizeof made->db, "%s/study.db", made->dir);
    snprintf(made->other, sizeof made->other, "%s/other", made->root);
    *state = made;
    return 0;
}

static inline int fixture_end(void **state)
{
    fixture *made = *state;
    mn_status status = mn_folder_remove(made->root, NULL);
    free(made);
    return status == MN_OK ? 0 : -1;
}

static inline mn_study *open_study(const char *dir)
{
    mn_error err;
    mn_study *study = NULL;
    mn_study_setup setup = fixture_setup();
    assert_ok(mn_study_open(dir, &setup, &study, &err), &err);
    return study;
}

/* Genotype `number`; strings are constants, so rows may be copied. */
static inline mn_genotype_row make_genotype(uint32_t number)
{
    mn_genotype_row row = {
        .json = "{\"blocks\": []}",
        .move = "augment",
        .map_json = "[0, 1, -1]",
        .round = number / 10,
        .state = MN_STATE_CHOSEN,
        .rank_score = 0.25,
        .weights_bytes = 1000 + number,
        .arena_bytes = 2000,
        .total_bytes = 3000 + number,
        .macs = 123456789,
    };
    snprintf(row.id, sizeof row.id, "%016x", number);
    snprintf(row.parent_id, sizeof row.parent_id, "%016x", number / 2);
    return row;
}

static inline mn_run_row make_run(uint32_t number)
{
    mn_run_row row = {
        .key = {.seed = UINT64_MAX - number, .rung = 0},
        .reason = "",
        .val_accuracy = 50.125 + number,
        .val_loss = 1.0 / 3,
        .curve_json = "[[1, 2.5, 40.0]]",
        .weights = "weights/w.safetensors",
        .train_ms = 77,
    };
    snprintf(row.key.genotype_id, sizeof row.key.genotype_id, "%016x", number);
    return row;
}

static inline void put_pair(mn_study *study, uint32_t number)
{
    mn_error err;
    mn_genotype_row genotype = make_genotype(number);
    mn_run_row run = make_run(number);
    assert_ok(mn_study_put_genotype(study, &genotype, &err), &err);
    assert_ok(mn_study_put_run(study, &run, &err), &err);
}

static inline bool has_run(mn_study *study, uint32_t number)
{
    mn_error err;
    mn_run_row expected = make_run(number);
    mn_run_row row;
    bool found = false;
    assert_ok(mn_study_get_run(study, &expected.key, &row, &found, &err), &err);
    if (found) {
        assert_true(row.val_accuracy == expected.val_accuracy);
        assert_string_equal(row.curve_json, expected.curve_json);
    }
    return found;
}

static inline bool has_genotype(mn_study *study, uint32_t number)
{
    mn_error err;
    mn_genotype_row expected = make_genotype(number);
    mn_genotype_row row;
    bool found = false;
    assert_ok(mn_study_get_genotype(study, expected.id, &row, &found, &err), &err);
    return found;
}

#endif
