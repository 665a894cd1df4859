/*
 * Runs the peers of the training benchmark and reads what they print. See train_peers.h.
 */
#include "train_peers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "train_process.h"

enum { output_bytes = 16384, shown_bytes = 160, number_bytes = 12 };

/* The one that python3-torch belongs to, whatever else PATH may find. */
static const char python[] = "/usr/bin/python3";

static char *join(const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path != NULL)
        (void)snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

/* Runs a program to its end; whatever it prints is dropped. */
static mn_status run_silently(const char *const *arguments, mn_error *err)
{
    char text[shown_bytes];
    mn_bench_process process = {0};
    mn_bench_call call = {.arguments = arguments, .quiet = true};
    mn_status status = mn_bench_process_start(&call, &process, err);
    if (status != MN_OK)
        return status;
    mn_bench_process_all(&process, text, sizeof text);
    if (!mn_bench_process_end(&process))
        return mn_error_set(err, MN_ERR_WORKER, "%s failed", arguments[0]);
    return MN_OK;
}

/* ---- what is here ---------------------------------------------------------------------------- */

static mn_status look_for_torch(mn_bench_peers *peers, const char *folder, mn_error *err)
{
    const char *arguments[] = {python, "-c", "import torch", NULL};
    char *script = join(folder, "torch_step.py");
    if (script == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_error *why = &peers->no_torch;
    if (access(script, R_OK) != 0) {
        (void)mn_error_set(why, MN_ERR_IO, "no file %s", script);
        free(script);
    } else if (run_silently(arguments, NULL) != MN_OK) {
        (void)mn_error_set(
            why, MN_ERR_IO, "%s cannot import torch (Debian's python3-torch)", python);
        free(script);
    } else {
        peers->torch = script;
    }
    return MN_OK;
}

/* As the head of the prototype asks for, less its warnings. */
static mn_status build_prototype(const char *source, const char *program, mn_error *err)
{
    const char *arguments[] = {"gcc",
                               "-O3",
                               "-march=native",
                               "-ffast-math",
                               "-mprefer-vector-width=512",
                               "-fopenmp",
                               "-std=gnu11",
                               "-w",
                               source,
                               "-o",
                               program,
                               "-ldnnl",
                               "-lm",
                               NULL};
    if (access(source, R_OK) != 0)
        return mn_error_set(err, MN_ERR_IO, "no file %s", source);
    mn_status status = run_silently(arguments, err);
    return status == MN_OK ? MN_OK : mn_error_prefix(err, status, "building %s", source);
}

static mn_status make_prototype(mn_bench_peers *peers, const char *folder, mn_error *err)
{
    const char *temporary = getenv("TMPDIR");
    char *source = join(folder, "onednn_step.c");
    peers->scratch = join(temporary == NULL ? "/tmp" : temporary, "memnet-peers-XXXXXX");
    mn_status status = MN_OK;
    if (source == NULL || peers->scratch == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (mkdtemp(peers->scratch) == NULL) {
        status = mn_error_set(err, MN_ERR_IO, "cannot make a folder %s", peers->scratch);
        free(peers->scratch);
        peers->scratch = NULL;
        goto done;
    }
    peers->prototype = join(peers->scratch, "step");
    if (peers->prototype == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    } else if (build_prototype(source, peers->prototype, &peers->no_prototype) != MN_OK) {
        free(peers->prototype);
        peers->prototype = NULL;
    }
done:
    free(source);
    return status;
}

mn_status mn_bench_peers_init(mn_bench_peers *peers, const char *folder, mn_error *err)
{
    *peers = (mn_bench_peers){0};
    mn_status status = look_for_torch(peers, folder, err);
    return status == MN_OK ? make_prototype(peers, folder, err) : status;
}

void mn_bench_peers_done(mn_bench_peers *peers)
{
    if (peers->prototype != NULL)
        (void)unlink(peers->prototype);
    if (peers->scratch != NULL)
        (void)rmdir(peers->scratch);
    free(peers->prototype);
    free(peers->scratch);
    free(peers->torch);
    *peers = (mn_bench_peers){0};
}

/* ---- a measurement --------------------------------------------------------------------------- */

mn_status mn_bench_peer_parse(const char *text, mn_bench_speed *ret_speed, mn_error *err)
{
    static const char unit[] = " img/s";
    static const char name[] = "params=";
    mn_bench_speed speed = {0};
    char *end = NULL;
    for (const char *at = strstr(text, unit); at != NULL; at = strstr(at + 1, unit)) {
        const char *number = at;
        while (number > text && strchr(" \n", number[-1]) == NULL)
            number--;
        double rate = strtod(number, &end);
        if (end == at && number < at && isfinite(rate))
            speed.rate = rate;
    }
    const char *parameters = strstr(text, name);
    if (parameters != NULL)
        speed.parameters = strtoull(parameters + strlen(name), NULL, 10);
    if (speed.rate > 0.0 && speed.parameters > 0) {
        *ret_speed = speed;
        return MN_OK;
    }
    int shown = (int)mn_size_smaller(strcspn(text, "\n"), shown_bytes);
    return mn_error_set(err, MN_ERR_FORMAT, "it printed '%.*s'", shown, text);
}

/* All of run->processes at the same time. */
static mn_status run_together(const mn_bench_run *run,
                              const mn_bench_call *call,
                              mn_bench_speed *ret_speed,
                              mn_error *err)
{
    char text[output_bytes];
    mn_bench_speed sum = {0};
    mn_bench_speed speed = {0};
    mn_status status = MN_OK;
    mn_bench_process *processes = mn_calloc(run->processes, sizeof *processes);
    if (processes == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; status == MN_OK && i < run->processes; i++)
        status = mn_bench_process_start(call, &processes[i], err);
    for (uint32_t i = 0; i < run->processes; i++) {
        if (processes[i].pid == 0)
            continue;
        mn_bench_process_all(&processes[i], text, sizeof text);
        if (!mn_bench_process_end(&processes[i]) && status == MN_OK)
            status = mn_error_set(err, MN_ERR_WORKER, "it failed");
        if (status == MN_OK)
            status = mn_bench_peer_parse(text, &speed, err);
        sum.rate += speed.rate;
        sum.parameters = speed.parameters;
    }
    free(processes);
    if (status == MN_OK)
        *ret_speed = sum;
    return status;
}

/* The numbers of a run as words of a command line. */
typedef struct words {
    char width[number_bytes], batch[number_bytes], threads[number_bytes], steps[number_bytes];
} words;

static words spell(const mn_bench_run *run)
{
    words w;
    (void)snprintf(w.width, sizeof w.width, "%" PRIu32, run->width);
    (void)snprintf(w.batch, sizeof w.batch, "%" PRIu32, run->batch);
    (void)snprintf(w.threads, sizeof w.threads, "%" PRIu32, run->threads);
    (void)snprintf(w.steps, sizeof w.steps, "%" PRIu32, run->steps);
    return w;
}

mn_status mn_bench_torch_run(const mn_bench_peers *peers,
                             const mn_bench_run *run,
                             bool tuned,
                             mn_bench_speed *ret_speed,
                             mn_error *err)
{
    static const char *const allocator[] = {"MALLOC_TRIM_THRESHOLD_=20000000000",
                                            "MALLOC_MMAP_THRESHOLD_=4000000000",
                                            "MALLOC_TOP_PAD_=268435456",
                                            NULL};
    if (peers->torch == NULL)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "%s", peers->no_torch.message);
    words w = spell(run);
    /* The word before the steps switches a profile on when it is "prof". */
    const char *arguments[] = {python,
                               peers->torch,
                               run->net,
                               w.width,
                               w.batch,
                               tuned ? "cl" : "cf",
                               run->bf16 ? "bf16" : "f32",
                               w.threads,
                               "-",
                               w.steps,
                               NULL};
    mn_bench_call call = {
        .arguments = arguments, .settings = tuned ? allocator : NULL, .quiet = true};
    return run_together(run, &call, ret_speed, err);
}

mn_status mn_bench_prototype_run(const mn_bench_peers *peers,
                                 const mn_bench_run *run,
                                 mn_bench_speed *ret_speed,
                                 mn_error *err)
{
    char threads[sizeof "OMP_NUM_THREADS=" + number_bytes];
    if (peers->prototype == NULL)
        return mn_error_set(err, MN_ERR_UNSUPPORTED, "%s", peers->no_prototype.message);
    words w = spell(run);
    (void)snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%s", w.threads);
    const char *settings[] = {threads, "CUSTOM=1", NULL};
    const char *arguments[] = {
        peers->prototype, run->net, w.width, w.batch, run->bf16 ? "bf16" : "f32", w.steps, NULL};
    mn_bench_call call = {.arguments = arguments, .settings = settings, .quiet = true};
    return run_together(run, &call, ret_speed, err);
}
