/*
 * memnet search: from a data set and a memory bound to a trained network that keeps the bound.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/display.h"
#include "cli/options.h"
#include "cli/pipeline.h"
#include "cli/study_view.h"
#include "cli/text.h"
#include "memnet/search.h"

#define DEFAULT_TIME_MS (60 * 60 * 1000)

typedef struct request {
    const char *data;
    const char *study;
    const char *memory; /* a size, or several */
    int precision;
    int preset;
    int strategy;
    mn_bound bound; /* RAM, flash, multiply-adds */
    bool json;
    mn_search_opts opts;
} request;

static int descending(const void *a, const void *b)
{
    const mn_bound *x = a;
    const mn_bound *y = b;
    return (x->total_bytes < y->total_bytes) - (x->total_bytes > y->total_bytes);
}

/* The sizes of --memory, parted by commas, as bounds from the largest on. */
static mn_status parse_memory(const char *text, mn_search_opts *opts, mn_error *err)
{
    char *copy = strdup(text);
    char *rest = NULL;
    uint32_t count = 0;
    mn_status status = copy == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory") : MN_OK;
    if (status == MN_OK && (text[0] == ',' || text[0] == '\0' || strstr(text, ",,") != NULL ||
                            text[strlen(text) - 1] == ','))
        status = mn_error_set(err, MN_ERR_ARG, "'%s': a size is missing", text);
    for (char *size = copy == NULL ? NULL : strtok_r(copy, ",", &rest);
         status == MN_OK && size != NULL;
         size = strtok_r(NULL, ",", &rest)) {
        size_t bytes = 0;
        if (count == MN_MAX_BOUNDS)
            status = mn_error_set(err, MN_ERR_ARG, "more than %d sizes", MN_MAX_BOUNDS);
        else
            status = mn_size_parse(size, &bytes, err);
        if (status == MN_OK)
            opts->bounds[count++] = (mn_bound){.total_bytes = bytes};
    }
    free(copy);
    qsort(opts->bounds, count, sizeof opts->bounds[0], descending);
    for (uint32_t i = 1; i < count && status == MN_OK; i++)
        if (opts->bounds[i].total_bytes == opts->bounds[i - 1].total_bytes)
            status = mn_error_set(err, MN_ERR_ARG, "'%s': a size stands there twice", text);
    opts->bound_count = count;
    return status;
}

/* The command line as a whole; false when it ends with *ret_exit. */
static bool check_usage(request *r, int *ret_exit)
{
    mn_error err;
    bool split = r->bound.ram_bytes != 0 || r->bound.flash_bytes != 0;
    bool both = r->bound.ram_bytes != 0 && r->bound.flash_bytes != 0;
    *ret_exit = MN__EXIT_OK;
    if (r->memory == NULL && !both) {
        *ret_exit =
            mn__usage_error("search", "missing option: --memory SIZE, or --ram SIZE --flash SIZE");
    } else if (r->memory != NULL && split) {
        *ret_exit = mn__usage_error("search", "--memory excludes --ram and --flash");
    } else if (r->opts.time_ms != 0 && r->opts.rounds != 0) {
        *ret_exit = mn__usage_error("search", "--time excludes --rounds");
    } else if (r->opts.rungs != 0 && r->preset == MN_PRESET_PAPER) {
        *ret_exit = mn__usage_error("search", "--preset paper has no --rungs");
    } else if (r->memory != NULL && parse_memory(r->memory, &r->opts, &err) != MN_OK) {
        *ret_exit = mn__usage_error("search", "--memory: %s", err.message);
    }
    if (r->memory == NULL) {
        r->opts.bounds[0] = r->bound;
        r->opts.bound_count = 1;
    }
    for (uint32_t i = 0; i < r->opts.bound_count; i++)
        r->opts.bounds[i].max_macs = r->bound.max_macs;
    if (r->opts.time_ms == 0 && r->opts.rounds == 0)
        r->opts.time_ms = DEFAULT_TIME_MS;
    if (r->opts.rungs == 0)
        r->opts.rungs = mn_search_opts_default().rungs;
    return *ret_exit == MN__EXIT_OK;
}

/* The path of this very program, for the worker processes; *ret_path has PATH_MAX bytes. */
static mn_status find_program(char *ret_path, mn_error *err)
{
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
    if (length < 0)
        return mn_error_set(err, MN_ERR_WORKER, "/proc/self/exe: %s", strerror(errno));
    ret_path[length] = '\0';
    return MN_OK;
}

/* Commands that use the result, ready to paste: `model` and so on are words of a shell. */
static void print_next(const char *model, const char *data, const char *out)
{
    char *program = mn__shell_word(program_invocation_name);
    const char *name = program == NULL ? "memnet" : program;
    printf("\nnext:\n"
           "  %s eval %s --data %s\n"
           "  %s export %s --format c --out %s\n",
           name,
           model,
           data,
           name,
           model,
           out);
    free(program);
}

static void print_best(const mn_bound *bound, const char *model, const mn__best *best)
{
    printf("%s\n", model);
    printf("  accuracy  %s validation, ", mn__percent_text(best->val_accuracy).text);
    printf("%s test\n", mn__percent_text(best->test_accuracy).text);
    printf("  weights   %s", mn__bytes_text(best->weights_bytes).text);
    if (bound->flash_bytes != 0)
        printf(" of %s", mn__bytes_text(bound->flash_bytes).text);
    printf("\n  arena     %s", mn__bytes_text(best->arena_bytes).text);
    if (bound->ram_bytes != 0)
        printf(" of %s", mn__bytes_text(bound->ram_bytes).text);
    printf("\n  total     %s", mn__bytes_text(best->total_bytes).text);
    if (bound->total_bytes != 0)
        printf(" of %s", mn__bytes_text(bound->total_bytes).text);
    printf("\n  compute   %s multiply-adds\n", mn__count_text(best->macs).text);
}

/* The model of bound number `index`; the caller frees; NULL when out of memory. */
static char *model_path(const request *r, uint32_t index)
{
    char *path = NULL;
    int length = r->opts.bound_count == 1 ? asprintf(&path, "%s/best/model.safetensors", r->study)
                                          : asprintf(&path,
                                                     "%s/best/%" PRIu64 "/model.safetensors",
                                                     r->study,
                                                     r->opts.bounds[index].total_bytes);
    return length < 0 ? NULL : path;
}

static mn_status print_bests(const request *r, const mn__study_view *view, mn_error *err)
{
    for (uint32_t i = 0; i < r->opts.bound_count; i++) {
        char *model = model_path(r, i);
        if (model == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", r->study);
        if (i > 0)
            printf("\n");
        if (i < view->bound_count && view->bests[i].found)
            print_best(&r->opts.bounds[i], model, &view->bests[i]);
        free(model);
    }
    return MN_OK;
}

static mn_status print_result(const request *r, const mn__study_view *view, mn_error *err)
{
    char *model = mn_path_join(r->study, "best/model.safetensors");
    char *out = mn_path_join(r->study, "export");
    char *model_word = model == NULL ? NULL : mn__shell_word(model);
    char *data_word = mn__shell_word(r->data);
    char *out_word = out == NULL ? NULL : mn__shell_word(out);
    mn_status status = MN_OK;
    if (model_word == NULL || data_word == NULL || out_word == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", r->study);
    else if (view->bound_count == 0 || !view->bests[0].found)
        status = mn_error_set(err, MN_ERR_INTERNAL, "%s: ended without a network", r->study);
    else
        status = print_bests(r, view, err);
    if (status == MN_OK)
        print_next(model_word, data_word, out_word);
    free(out_word);
    free(data_word);
    free(model_word);
    free(out);
    free(model);
    return status;
}

/* With --json the standard output is for JSON, and the display goes where errors go. */
static mn_status run(const request *r, const mn_dataset *dataset, mn_error *err)
{
    char program[PATH_MAX];
    mn_search_opts opts = r->opts;
    mn__display display;
    mn__display_init(&display, r->json ? stderr : stdout);
    if (display.live || !r->json) {
        opts.progress = mn__display_progress;
        opts.progress_context = &display;
    }
    mn_status status = find_program(program, err);
    if (status != MN_OK)
        return status;
    opts.worker_program = program;
    status = mn_search_run(&opts, dataset, r->study, err);
    mn__display_done(&display);
    return status;
}

static int search(request *r)
{
    mn_dataset *dataset = NULL;
    mn__study_view view = {0};
    mn_error err;
    int code = MN__EXIT_OK;
    r->opts.precision = (mn_precision)r->precision;
    r->opts.preset = (mn_preset)r->preset;
    r->opts.strategy = (mn_strategy)r->strategy;
    mn_status status = mn_dataset_open(r->data, &dataset, &err);
    if (status == MN_OK)
        status = run(r, dataset, &err);
    if (status == MN_OK)
        status = mn__study_view_load(r->study, &view, &err);
    if (status == MN_OK && r->json)
        code = mn__print_json(mn__study_view_json(&view));
    else if (status == MN_OK)
        status = print_result(r, &view, &err);
    mn__study_view_done(&view);
    mn_dataset_free(dataset);
    return status == MN_OK ? code : mn__fail(&err);
}

#define INTO(field) offsetof(request, field)

static const char *const presets[] = {"fast", "paper", NULL};
static const char *const strategies[] = {"augment-trim", "random", "evolution", NULL};

static const mn__option options[] = {
    {.name = "data",
     .argument = "SPEC",
     .kind = MN__TEXT,
     .into = INTO(data),
     .required = true,
     .help = "data set (see below); required"},
    {.name = "memory",
     .argument = "SIZE[,SIZE...]",
     .kind = MN__TEXT,
     .into = INTO(memory),
     .help = "bound in bytes of weights and working memory together,\nsuch as 64K or 1M; several, "
             "as 64K,128K: a network for each"},
    {.name = "ram",
     .argument = "SIZE",
     .kind = MN__SIZE,
     .into = INTO(bound.ram_bytes),
     .help = "instead of --memory: bound of the working memory, and"},
    {.name = "flash",
     .argument = "SIZE",
     .kind = MN__SIZE,
     .into = INTO(bound.flash_bytes),
     .help = "bound of the weights"},
    {.name = "max-macs",
     .argument = "N",
     .kind = MN__INTEGER,
     .into = INTO(bound.max_macs),
     .help = "bound of multiply-adds per image, default 0: none"},
    {.name = "precision",
     .argument = "P",
     .kind = MN__CHOICE,
     .into = INTO(precision),
     .choices = mn__precision_choices,
     .help = "of the exported code: int8 (default) or float32"},
    {.name = "time",
     .argument = "T",
     .kind = MN__DURATION,
     .into = INTO(opts.time_ms),
     .help = "time of all runs with this study together, such as 90s,\n20m or 2h; default 1h"},
    {.name = "rounds",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.rounds),
     .low = 1,
     .high = 100000,
     .help = "instead of --time: rounds of search, for each bound;\nreproducible"},
    {.name = "study",
     .argument = "DIR",
     .kind = MN__TEXT,
     .into = INTO(study),
     .help = "folder of all results, default study; a study that exists\nis continued"},
    {.name = "preset",
     .argument = "NAME",
     .kind = MN__CHOICE,
     .into = INTO(preset),
     .choices = presets,
     .help = "fast (default) or paper"},
    {.name = "strategy",
     .argument = "NAME",
     .kind = MN__CHOICE,
     .into = INTO(strategy),
     .choices = strategies,
     .help = "augment-trim (default); random or evolution, to compare"},
    {.name = "lambda",
     .argument = "X",
     .kind = MN__REAL,
     .into = INTO(opts.lambda),
     .low = 0,
     .high = 1,
     .help = "weight of accuracy against memory in the score, 0 to 1,\ndefault 0.5"},
    {.name = "top-k",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.top_k),
     .low = 1,
     .high = 100000,
     .help = "candidates trained in a round, default 8"},
    {.name = "rungs",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.rungs),
     .low = 1,
     .high = 8,
     .help =
         "stages of a round: at each the best third trains on, three\ntimes as long, default 2; "
         "not with --preset paper"},
    {.name = "jobs",
     .argument = "N",
     .kind = MN__COUNT,
     .into = INTO(opts.jobs),
     .low = 1,
     .high = 256,
     .help = "trainings at the same time, default: all processors;\nnever changes results"},
    {.name = "seed",
     .argument = "N",
     .kind = MN__INTEGER,
     .into = INTO(opts.seed),
     .help = "of every random decision, default 1"},
    {.name = "json",
     .kind = MN__FLAG,
     .into = INTO(json),
     .help = "at the end print the JSON of `memnet status`, and only that"},
};

static const mn__usage usage = {
    .command = "search",
    .synopsis = "--data SPEC (--memory SIZE | --ram SIZE --flash SIZE) [options]",
    .about =
        "Searches for the most accurate network whose exported C code needs no more than SIZE\n"
        "bytes. Results lie in the study's folder as soon as they exist; the same command goes on\n"
        "with a study that was interrupted. At the end the winner is read once on the test images\n"
        "and stands in STUDY/best.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .reads_data = true,
    .examples = "  memnet search --data fashion-mnist --memory 64K --time 20m\n"
                "  memnet search --data cifar10:data --ram 64K --flash 256K --study cifar\n"
                "  memnet search --data npy:sensors --memory 32K --rounds 5 --seed 7\n",
};

int mn__cmd_search(int argc, char **argv)
{
    request r = {.study = "study", .precision = MN_PRECISION_INT8, .preset = MN_PRESET_FAST};
    int first = 0;
    int code = 0;
    r.opts = mn_search_opts_default();
    r.opts.time_ms = 0;
    r.opts.rounds = 0;
    r.opts.rungs = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code) || !check_usage(&r, &code))
        return code;
    return search(&r);
}
