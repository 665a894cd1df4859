/*
 * Cross compilers at work on an export: sections by `size`, stack by gcc's call graphs. Everything
 * is compiled in a folder of its own that goes afterwards. Invariant: nothing here can fail an
 * export.
 */
#include "cli/boards.h"

#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "cli/call_graph.h"
#include "cli/text.h"

typedef struct board {
    const char *name, *prefix, *flags;
} board;

static const char arm[] = "arm-none-eabi-";
static const char riscv[] = "riscv64-unknown-elf-";

static const board boards[] = {
    {"Cortex-M0+", arm, "-mcpu=cortex-m0plus -mthumb"},
    {"Cortex-M3", arm, "-mcpu=cortex-m3 -mthumb"},
    {"Cortex-M4F", arm, "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard"},
    {"Cortex-M7", arm, "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard"},
    {"Cortex-M33", arm, "-mcpu=cortex-m33 -mthumb -mfloat-abi=hard"},
    {"Cortex-M55", arm, "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard"},
    {"RV32IMAC", riscv, "-march=rv32imac -mabi=ilp32"},
};

/* Whether a shell command succeeds. */
static bool run(const char *command)
{
    static const char shell[] = "/bin/sh";
    char *copy = strdup(command);
    char name[] = "sh";
    char flag[] = "-c";
    char *arguments[] = {name, flag, copy, NULL};
    pid_t child = 0;
    int code = 1;
    bool good = copy != NULL && posix_spawn(&child, shell, NULL, NULL, arguments, environ) == 0 &&
                waitpid(child, &code, 0) == child && WIFEXITED(code) && WEXITSTATUS(code) == 0;
    free(copy);
    return good;
}

static bool has_compiler(const char *prefix)
{
    char command[128];
    snprintf(command,
             sizeof command,
             "command -v %sgcc >/dev/null && command -v %ssize >/dev/null",
             prefix,
             prefix);
    return run(command);
}

/* Kernels in assembly for Arm cores with DSP, and the bytes that each pushes
 * (tests/check_frames.py). */
static const struct assembly {
    const char *name;
    uint32_t bytes;
} assembly[] = {
    {"mn_s8_dot_fours", 40},
    {"mn_s8_column_fours", 16},
    {"mn_s8_tile_pairs", 40},
    {"mn_s8_tile_fours", 40},
    {"mn_s8_depthwise_fours", 48},
};

/* Bytes of all sections whose names begin with .text, of what `size -A` prints. */
static unsigned long text_bytes(const char *sizes)
{
    unsigned long sum = 0;
    for (const char *line = strstr(sizes, "\n.text"); line != NULL;
         line = strstr(line + 1, "\n.text")) {
        const char *number = strchr(line, ' ');
        sum += number == NULL ? 0 : strtoul(number, NULL, 10);
    }
    return sum;
}

static mn_status read_graphs(const char *work, mn__call_graph *graph, mn_error *err)
{
    DIR *folder = opendir(work);
    mn_status status = MN_OK;
    if (folder == NULL)
        return mn_error_set(err, MN_ERR_IO, "%s: cannot be read", work);
    for (struct dirent *entry = readdir(folder); entry != NULL && status == MN_OK;
         entry = readdir(folder)) {
        size_t length = strlen(entry->d_name);
        char *text = NULL;
        size_t count = 0;
        if (length < 3 || strcmp(entry->d_name + length - 3, ".ci") != 0)
            continue;
        char *path = mn_path_join(work, entry->d_name);
        status = path == NULL ? mn_error_set(err, MN_ERR_NOMEM, "out of memory")
                              : mn_file_read(path, (size_t)1 << 26, &text, &count, err);
        if (status == MN_OK)
            status = mn__call_graph_add(graph, text, err);
        free(text);
        free(path);
    }
    closedir(folder);
    return status;
}

/* "  Cortex-M4F  code 6,012 bytes, stack 320 bytes"; a star after a stack that leaves out functions
 * of unknown frames. */
static void print_board(const board *b, const char *prefix, const char *sizes, const char *work)
{
    char entry[64];
    snprintf(entry, sizeof entry, "%s_invoke", prefix);
    mn__call_graph graph = {0};
    uint32_t stack = 0;
    bool complete = false;
    mn_status status = read_graphs(work, &graph, NULL);
    for (size_t i = 0; i < sizeof assembly / sizeof assembly[0]; i++)
        mn__call_graph_set_frame(&graph, assembly[i].name, assembly[i].bytes);
    if (status == MN_OK)
        status = mn__call_graph_stack(&graph, entry, &stack, &complete, NULL);
    printf("  %-11s code %s bytes", b->name, mn__count_text(text_bytes(sizes)).text);
    if (status == MN_OK)
        printf(", stack %s bytes%s", mn__count_text(stack).text, complete ? "" : " *");
    printf("\n");
    mn__call_graph_done(&graph);
}

/* An export: where it lies, as a word of the shell, and what its file and its functions are called.
 */
typedef struct exported {
    const char *folder;
    const char *file, *prefix;
} exported;

/* Links what memnet_invoke() reaches, the compiler's own routines included. `quoted_work` is a word
 * of the shell, `work` the same as a path. */
static void measure(const board *b, const exported *e, const char *quoted_work, const char *work)
{
    mn_buffer command;
    mn_buffer_init(&command);
    mn_buffer_printf(&command,
                     "cd %s && rm -f -- * && { %sgcc %s -std=c99 -O2 -ffreestanding "
                     "-ffunction-sections -fdata-sections -fcallgraph-info=su -c %s/%s.c "
                     "%s/mn_*.c && %sgcc %s -r -nostdlib -Wl,--gc-sections -Wl,-e,%s_invoke "
                     "-Wl,-u,%s_input -Wl,-u,%s_output *.o -lgcc -o all.elf; } "
                     ">log 2>&1 && %ssize -A all.elf >sizes",
                     quoted_work,
                     b->prefix,
                     b->flags,
                     e->folder,
                     e->file,
                     e->folder,
                     b->prefix,
                     b->flags,
                     e->prefix,
                     e->prefix,
                     e->prefix,
                     b->prefix);
    char *sizes = NULL;
    char *path = mn_path_join(work, "sizes");
    size_t count = 0;
    if (path != NULL && mn_buffer_check(&command, NULL) == MN_OK && run(command.bytes) &&
        mn_file_read(path, (size_t)1 << 20, &sizes, &count, NULL) == MN_OK)
        print_board(b, e->prefix, sizes, work);
    else
        printf("  %-11s does not compile\n", b->name);
    free(path);
    free(sizes);
    mn_buffer_done(&command);
}

void mn__boards_print(const char *folder, const char *name)
{
    const char *root = getenv("TMPDIR");
    char *absolute = realpath(folder, NULL);
    char *quoted = absolute == NULL ? NULL : mn__shell_word(absolute);
    char *work = mn_path_join(root == NULL ? "/tmp" : root, "memnet-boards-XXXXXX");
    bool has_arm = has_compiler(arm);
    bool has_riscv = has_compiler(riscv);
    if (quoted != NULL && work != NULL && (has_arm || has_riscv) && mkdtemp(work) != NULL) {
        char *quoted_work = mn__shell_word(work);
        const exported e = {.folder = quoted,
                            .file = name == NULL ? "model" : name,
                            .prefix = name == NULL ? "memnet" : name};
        printf("on microcontrollers, compiled with -O2:\n");
        (void)fflush(stdout); /* it takes some seconds */
        for (size_t i = 0; quoted_work != NULL && i < sizeof boards / sizeof boards[0]; i++)
            if (boards[i].prefix == arm ? has_arm : has_riscv)
                measure(&boards[i], &e, quoted_work, work);
        printf(
            "  * and what memcpy() and the like and arithmetic of the compiler's library take\n");
        free(quoted_work);
        (void)mn_folder_remove(work, NULL);
    }
    if (!has_arm || !has_riscv)
        printf("code and stack%s: unknown, not installed: %s%s%s\n",
               has_arm || has_riscv ? " of others" : " on microcontrollers",
               has_arm ? "" : "arm-none-eabi-gcc",
               has_arm || has_riscv ? "" : ", ",
               has_riscv ? "" : "riscv64-unknown-elf-gcc");
    free(work);
    free(quoted);
    free(absolute);
}
