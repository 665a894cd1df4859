/*
 * Publishing the best network. Order matters: folder, then link, then row. A kill in between leaves
 * a folder that nothing points to, or a link that is ahead of the row; the next publishing sees
 * both, since it compares the folder itself and removes every other one.
 */
#include "search/best.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "search/rungs.h"

static const size_t max_model_bytes = (size_t)1 << 30;

/* Number N of `best -> best.N`; 0 when there is no link yet. */
static uint32_t current_number(const char *link)
{
    static const char prefix[] = "best.";
    char target[64];
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0)
        return 0;
    target[length] = '\0';
    int64_t number = 0;
    if (strncmp(target, prefix, sizeof prefix - 1) != 0 ||
        mn_integer_parse("best", target + sizeof prefix - 1, 0, INT32_MAX, &number, NULL) != MN_OK)
        return 0;
    return (uint32_t)number;
}

static mn_status copy_file(const char *from, const char *to, mn_error *err)
{
    char *bytes = NULL;
    size_t count = 0;
    mn_status status = mn_file_read(from, max_model_bytes, &bytes, &count, err);
    if (status == MN_OK)
        status = mn_file_write(to, bytes, count, err);
    free(bytes);
    return status;
}

static mn_status write_architecture(const mn_genotype *genotype, const char *path, mn_error *err)
{
    char *json = NULL;
    mn_status status = mn_genotype_print(genotype, 2, &json, err);
    if (status == MN_OK)
        status = mn_file_write(path, json, strlen(json), err);
    free(json);
    return status;
}

static mn_status
fill_folder(mn__session *session, const mn_best_row *row, const char *folder, mn_error *err)
{
    mn_genotype_row stored;
    mn_genotype genotype;
    bool found = false;
    char *relative = mn_study_weights_path(&row->run);
    char *weights = relative == NULL ? NULL : mn__session_path(session, relative);
    char *model = mn_path_join(folder, "model.safetensors");
    char *architecture = mn_path_join(folder, "architecture.json");
    mn_status status = MN_OK;
    if (weights == NULL || model == NULL || architecture == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn_study_get_genotype(session->study, row->run.genotype_id, &stored, &found, err);
    if (status == MN_OK && !found)
        status =
            mn_error_set(err, MN_ERR_DB, "genotype %s: not in the study", row->run.genotype_id);
    if (status == MN_OK)
        status = mn_genotype_parse(stored.json, strlen(stored.json), &genotype, err);
    if (status == MN_OK)
        status = copy_file(weights, model, err);
    if (status == MN_OK)
        status = write_architecture(&genotype, architecture, err);
    free(architecture);
    free(model);
    free(weights);
    free(relative);
    return status;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* True when the study has this very row. */
static mn_status
is_stored(mn__session *session, const mn_best_row *row, bool *ret_same, mn_error *err)
{
    mn_best_row stored;
    bool found = false;
    mn_status status = mn_study_get_best(session->study, row->bound_bytes, &stored, &found, err);
    if (status == MN_OK)
        *ret_same = found && stored.run.seed == row->run.seed && stored.run.rung == row->run.rung &&
                    strcmp(stored.run.genotype_id, row->run.genotype_id) == 0 &&
                    same_number(stored.val_accuracy, row->val_accuracy) &&
                    same_number(stored.test_accuracy, row->test_accuracy);
    return status;
}

/* Room for a path inside `best`. */
enum { inside_bytes = 64 };

/* "best/FILE", or with several bounds "best/BYTES/FILE". */
static char *shown_path(const mn__session *session, const mn_best_row *row, const char *file)
{
    char inside[inside_bytes];
    if (session->opts->bound_count == 1)
        snprintf(inside, sizeof inside, "best/%s", file);
    else
        snprintf(inside, sizeof inside, "best/%" PRIu64 "/%s", row->bound_bytes, file);
    return mn__session_path(session, inside);
}

/* True when `best` is complete and holds the weights of this run, byte by byte. A folder is swapped
 * as a whole, so that the place of this bound speaks for all. */
static bool is_shown(mn__session *session, const mn_best_row *row)
{
    char *bytes[2] = {NULL, NULL};
    size_t counts[2] = {0, 0};
    char *relative = mn_study_weights_path(&row->run);
    char *weights = relative == NULL ? NULL : mn__session_path(session, relative);
    char *model = shown_path(session, row, "model.safetensors");
    char *architecture = shown_path(session, row, "architecture.json");
    bool same = weights != NULL && model != NULL && architecture != NULL &&
                mn_path_exists(architecture) &&
                mn_file_read(weights, max_model_bytes, &bytes[0], &counts[0], NULL) == MN_OK &&
                mn_file_read(model, max_model_bytes, &bytes[1], &counts[1], NULL) == MN_OK &&
                counts[0] == counts[1] && memcmp(bytes[0], bytes[1], counts[0]) == 0;
    free(bytes[1]);
    free(bytes[0]);
    free(architecture);
    free(model);
    free(weights);
    free(relative);
    return same;
}

/* best.N, or what a kill has left of one, best.tmpN; a copy of a user's has another name. */
static bool is_ours(const char *name)
{
    static const char prefix[] = "best.";
    static const char temporary[] = "tmp";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    name += sizeof prefix - 1;
    if (strncmp(name, temporary, sizeof temporary - 1) == 0)
        name += sizeof temporary - 1;
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* Removes every folder of ours but the one that is shown. */
static mn_status remove_others(mn__session *session, const char *shown, mn_error *err)
{
    const char *path = mn_study_folder(session->study);
    mn_status status = MN_OK;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    for (struct dirent *entry = readdir(folder); entry != NULL && status == MN_OK;
         entry = readdir(folder)) {
        if (!is_ours(entry->d_name) || strcmp(entry->d_name, shown) == 0)
            continue;
        char *other = mn__session_path(session, entry->d_name);
        status = other == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory")
                               : mn_folder_remove(other, err);
        free(other);
    }
    closedir(folder);
    return status;
}

/* The folder of one of several bounds, inside that of all. */
static mn_status
fill_inner_folder(mn__session *session, const mn_best_row *row, const char *folder, mn_error *err)
{
    char name[32];
    snprintf(name, sizeof name, "%" PRIu64, row->bound_bytes);
    char *inner = mn_path_join(folder, name);
    mn_status status = inner == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory") : MN_OK;
    if (status == MN_OK)
        status = mn_folder_make(inner, err);
    if (status == MN_OK)
        status = fill_folder(session, row, inner, err);
    free(inner);
    return status;
}

/* The best of every bound: of the session's goal the given row, of others what the study has. */
static mn_status
fill_all(mn__session *session, const mn_best_row *row, const char *folder, mn_error *err)
{
    mn_status status = MN_OK;
    if (session->opts->bound_count == 1)
        return fill_folder(session, row, folder, err);
    for (uint32_t g = 0; g < session->opts->bound_count && status == MN_OK; g++) {
        mn_best_row shown = *row;
        bool found = true;
        if (g != session->goal)
            status =
                mn_study_get_best(session->study, session->goals[g].bytes, &shown, &found, err);
        if (status == MN_OK && found)
            status = fill_inner_folder(session, &shown, folder, err);
        if (status == MN_OK && found && g == 0) /* the largest */
            status = fill_folder(session, &shown, folder, err);
    }
    return status;
}

static mn_status publish_folder(mn__session *session, const mn_best_row *row, mn_error *err)
{
    char name[32];
    char *link = mn__session_path(session, "best");
    if (link == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    snprintf(name, sizeof name, "best.%u", current_number(link) + 1);
    char *folder = mn__session_path(session, name);
    mn_status status = MN_OK;
    if (folder == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn_folder_remove(folder, err); /* a leftover of a killed publishing */
    if (status == MN_OK)
        status = mn_folder_make(folder, err);
    if (status == MN_OK)
        status = fill_all(session, row, folder, err);
    if (status == MN_OK)
        status = mn_symlink_swap(name, link, err);
    if (status == MN_OK)
        status = remove_others(session, name, err);
    free(folder);
    free(link);
    return status;
}

/* What a kill between swapping and removing has left beside the folder that is shown. */
static mn_status tidy(mn__session *session, mn_error *err)
{
    char name[32];
    char *link = mn__session_path(session, "best");
    if (link == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    snprintf(name, sizeof name, "best.%u", current_number(link));
    free(link);
    return remove_others(session, name, err);
}

mn_status mn__best_publish(mn__session *session, const mn_best_row *row, mn_error *err)
{
    bool stored = false;
    mn_status status = is_stored(session, row, &stored, err);
    if (status == MN_OK)
        status = is_shown(session, row) ? tidy(session, err) : publish_folder(session, row, err);
    return status == MN_OK && !stored ? mn_study_put_best(session->study, row, err) : status;
}

/* Shows the best in the progress. */
static mn_status show(mn__session *session, const mn_best_row *row, mn_error *err)
{
    mn_genotype_row genotype;
    bool found = false;
    mn_status status =
        mn_study_get_genotype(session->study, row->run.genotype_id, &genotype, &found, err);
    if (status == MN_OK && found) {
        mn__session_goal(session)->shown_accuracy = row->val_accuracy;
        mn__session_goal(session)->shown_bytes = genotype.total_bytes;
        mn__session_turn(session, session->goal);
    }
    return status;
}

mn_status mn__best_of_round(mn__session *session, mn_error *err)
{
    mn_run_key top;
    mn_run_row run;
    uint32_t count = 0;
    bool found = false;
    mn_best_row row = {.bound_bytes = mn__session_goal(session)->bytes,
                       .test_accuracy = (double)NAN};
    mn_best_row stored;
    mn_status status = mn_study_get_best(session->study, row.bound_bytes, &stored, &found, err);
    if (status == MN_OK && found && stored.run.rung >= MN_STUDY_FINALS_RUNG) {
        status = mn__best_publish(session, &stored, err);
        return status == MN_OK ? show(session, &stored, err) : status;
    }
    if (status == MN_OK)
        status = mn__rungs_top(session, 1, &top, &count, err);
    if (status != MN_OK || count == 0)
        return status;
    status = mn_study_get_run(session->study, &top, &run, &found, err);
    if (status != MN_OK)
        return status;
    row.run = top;
    row.val_accuracy = run.val_accuracy;
    status = mn__best_publish(session, &row, err);
    return status == MN_OK ? show(session, &row, err) : status;
}
