/*
 * memnet search: from a data set and a memory bound to a trained network that keeps the bound.
 */
#include <errno.h>
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
    int strategy; /* there is one */
    bool json;
    mn_search_opts opts;
} request;

/* The command line as a whole; false when it ends with *ret_exit. */
static bool check_usage(request *r, int *ret_exit)
{
    mn_bound *bound = &r->opts.bound;
    mn_error err;
    size_t bytes = 0;
    bool split = bound->ram_bytes != 0 || bound->flash_bytes != 0;
    bool both = bound->ram_bytes != 0 && bound->flash_bytes != 0;
    *ret_exit = MN__EXIT_OK;
    if (r->memory == NULL && !both) {
        *ret_exit =
            mn__usage_error("search", "missing option: --memory SIZE, or --ram SIZE --flash SIZE");
    } else if (r->memory != NULL && split) {
        *ret_exit = mn__usage_error("search", "--memory excludes --ram and --flash");
    } else if (r->opts.time_ms != 0 && r->opts.rounds != 0) {
        *ret_exit = mn__usage_error("search", "--time excludes --rounds");
    } else if (r->memory != NULL && strchr(r->memory, ',') != NULL) {
        mn_error_set(&err,
                     MN_ERR_UNSUPPORTED,
                     "--memory '%s': several sizes do not exist yet: give one",
                     r->memory);
        *ret_exit = mn__fail(&err);
    } else if (r->memory != NULL && mn_size_parse(r->memory, &bytes, &err) != MN_OK) {
        *ret_exit = mn__usage_error("search", "--memory: %s", err.message);
    }
    bound->total_bytes = bytes;
    if (r->opts.time_ms == 0 && r->opts.rounds == 0)
        r->opts.time_ms = DEFAULT_TIME_MS;
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

static void print_best(const request *r, const char *model, const mn__best *best)
{
    const mn_bound *bound = &r->opts.bound;
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

static mn_status print_result(const request *r, const mn__study_view *view, mn_error *err)
{
    char *model = mn_path_join(r->study, "best/model.safetensors");
    char *out = mn_path_join(r->study, "export");
    char *model_word = model == NULL ? NULL : mn__shell_word(model);
    char *data_word = mn__shell_word(r->data);
    char *out_word = out == NULL ? NULL : mn__shell_word(out);
    mn_status status = MN_OK;
    if (model_word == NULL || data_word == NULL || out_word == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", r->study);
    } else if (view->bound_count == 0 || !view->bests[0].found) {
        status = mn_error_set(err, MN_ERR_INTERNAL, "%s: ended without a network", r->study);
    } else {
        print_best(r, model, &view->bests[0]);
        print_next(model_word, data_word, out_word);
    }
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
static const char *const strategies[] = {"augment-trim", NULL};
static const char *const strategies_planned[] = {"random", "evolution", NULL};

static const mn__option options[] = {
    {.name = "data",
     .argument = "SPEC",
     .kind = MN__TEXT,
     .into = INTO(data),
     .required = true,
     .help = "data set (see below); required"},
    {.name = "memory",
     .argument = "SIZE",
     .kind = MN__TEXT,
     .into = INTO(memory),
     .help = "bound in bytes of weights and working memory together,\nsuch as 64K or 1M"},
    {.name = "ram",
     .argument = "SIZE",
     .kind = MN__SIZE,
     .into = INTO(opts.bound.ram_bytes),
     .help = "instead of --memory: bound of the working memory, and"},
    {.name = "flash",
     .argument = "SIZE",
     .kind = MN__SIZE,
     .into = INTO(opts.bound.flash_bytes),
     .help = "bound of the weights"},
    {.name = "max-macs",
     .argument = "N",
     .kind = MN__INTEGER,
     .into = INTO(opts.bound.max_macs),
     .help = "bound of multiply-adds per image, default 0: none"},
    {.name = "precision",
     .argument = "P",
     .kind = MN__CHOICE,
     .into = INTO(precision),
     .choices = mn__precision_float,
     .planned = mn__precision_planned,
     .help = "of the exported code: float32 (default)"},
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
     .help = "instead of --time: rounds of search; reproducible"},
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
     .planned = strategies_planned,
     .help = "augment-trim (default)"},
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
    request r = {.study = "study", .precision = MN_PRECISION_FLOAT32, .preset = MN_PRESET_FAST};
    int first = 0;
    int code = 0;
    r.opts = mn_search_opts_default();
    r.opts.time_ms = 0;
    r.opts.rounds = 0;
    if (!mn__options_parse(&usage, argc, argv, &r, &first, &code) || !check_usage(&r, &code))
        return code;
    return search(&r);
}
