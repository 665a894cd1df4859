/*
 * Drawing. Invariant: a status line is narrower than the terminal, so that a carriage return brings
 * the cursor back to its start.
 */
#include "cli/display.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/text.h"

#define REDRAW_MS 100

/* Carriage return, and "erase to the end of the line" of every terminal since the VT100. */
static const char wipe[] = "\r\033[K";

void mn__display_init(mn__display *display, FILE *out)
{
    const char *kind = getenv("TERM");
    *display = (mn__display){.out = out};
    display->live = isatty(fileno(out)) != 0 && kind != NULL && strcmp(kind, "dumb") != 0;
}

static size_t terminal_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* Of several bounds it says which one it is about. */
static void phase_text(const mn_progress *p, char *out, size_t count)
{
    char bound[80] = "";
    if (p->bound_count > 1)
        snprintf(bound, sizeof bound, " for %s", mn__short_bytes_text(p->bound_bytes).text);
    if (strcmp(p->phase, "round") == 0 && p->rung > 0 && !p->landed)
        snprintf(out, count, "round %" PRIu32 "%s rung %" PRIu32, p->round, bound, p->rung);
    else if (strcmp(p->phase, "round") == 0)
        snprintf(out, count, "round %" PRIu32 "%s", p->round, bound);
    else if (strcmp(p->phase, "exhausted") == 0)
        snprintf(out, count, "nothing new fits %s", mn__bytes_text(p->bound_bytes).text);
    else
        snprintf(out, count, "%s%s", p->phase, bound);
}

static void full_status(const mn_progress *p, char ret[MN__LINE_BYTES])
{
    char phase[96];
    char best[256] = "no result yet";
    phase_text(p, phase, sizeof phase);
    if (!isnan(p->best_accuracy))
        snprintf(best,
                 sizeof best,
                 "best %s | %s of %s bytes",
                 mn__percent_text(p->best_accuracy).text,
                 mn__count_text(p->best_bytes).text,
                 mn__count_text(p->bound_bytes).text);
    snprintf(ret,
             MN__LINE_BYTES,
             "%s | %" PRIu32 "/%" PRIu32 " trained | %s | %s %s",
             phase,
             p->jobs_done,
             p->jobs_total,
             best,
             mn__duration_text(p->left_ms < 0 ? p->elapsed_ms : p->left_ms).text,
             p->left_ms < 0 ? "so far" : "left");
}

/* "9s", "41m" or "102h" */
static void short_time(int64_t ms, char *out, size_t count)
{
    int64_t seconds = ms / 1000;
    if (seconds < 60)
        snprintf(out, count, "%" PRId64 "s", seconds);
    else if (seconds < 6000)
        snprintf(out, count, "%" PRId64 "m", seconds / 60);
    else
        snprintf(out, count, "%" PRId64 "h", seconds / 3600);
}

/* "r12 3/8 91.23% 115.6K/128.0K 41m": 40 columns hold it. */
static void short_status(const mn_progress *p, char ret[MN__LINE_BYTES])
{
    char phase[96];
    char best[256] = "-";
    char left[32];
    short_time(p->left_ms < 0 ? p->elapsed_ms : p->left_ms, left, sizeof left);
    if (strcmp(p->phase, "round") == 0)
        snprintf(phase, sizeof phase, "r%" PRIu32, p->round);
    else
        phase_text(p, phase, sizeof phase);
    if (!isnan(p->best_accuracy))
        snprintf(best,
                 sizeof best,
                 "%.2f%% %s/%s",
                 p->best_accuracy,
                 mn__short_bytes_text(p->best_bytes).text,
                 mn__short_bytes_text(p->bound_bytes).text);
    snprintf(ret,
             MN__LINE_BYTES,
             "%s %" PRIu32 "/%" PRIu32 " %s %s",
             phase,
             p->jobs_done,
             p->jobs_total,
             best,
             left);
}

void mn__display_status(const mn_progress *progress, size_t columns, char ret[MN__LINE_BYTES])
{
    full_status(progress, ret);
    if (strlen(ret) > columns)
        short_status(progress, ret);
    if (columns < MN__LINE_BYTES)
        ret[columns] = '\0';
}

/* How the time is shared. */
static void plan_text(const mn_progress *p, char ret[MN__LINE_BYTES])
{
    int64_t all = p->left_ms + p->elapsed_ms;
    snprintf(ret,
             MN__LINE_BYTES,
             "plan: %s to search, %s to train finalists",
             mn__duration_text(p->search_ms).text,
             mn__duration_text(all - p->search_ms).text);
}

/* The training of the finals that has just ended. */
static void final_text(const mn_progress *p, char ret[MN__LINE_BYTES])
{
    char phase[96];
    char what[64] = "as the rounds left it";
    char accuracy[96] = "failed";
    phase_text(p, phase, sizeof phase);
    if (p->epochs > 0)
        snprintf(what, sizeof what, "%" PRIu32 " epochs", p->epochs);
    if (!isnan(p->final_accuracy))
        snprintf(
            accuracy, sizeof accuracy, "%s validation", mn__percent_text(p->final_accuracy).text);
    snprintf(ret,
             MN__LINE_BYTES,
             "%s: %" PRIu32 " of %" PRIu32 ", %s, %s, after %s",
             phase,
             p->jobs_done,
             p->jobs_total,
             what,
             accuracy,
             mn__duration_text(p->elapsed_ms).text);
}

void mn__display_landed(const mn_progress *p, char ret[MN__LINE_BYTES])
{
    char phase[96];
    char work[128] = "";
    char best[256] = "no result yet";
    if (strcmp(p->phase, "plan") == 0) {
        plan_text(p, ret);
        return;
    }
    if (strcmp(p->phase, "finals") == 0) {
        final_text(p, ret);
        return;
    }
    if (strcmp(p->phase, "continue") == 0) {
        snprintf(
            ret, MN__LINE_BYTES, "continuing a study of %s", mn__duration_text(p->elapsed_ms).text);
        return;
    }
    phase_text(p, phase, sizeof phase);
    if (strcmp(p->phase, "round") == 0)
        snprintf(work,
                 sizeof work,
                 "%" PRIu32 " of %" PRIu32 " new candidates fit, %" PRIu32 " trained, ",
                 p->fits,
                 p->fresh,
                 p->jobs_done);
    if (!isnan(p->best_accuracy))
        snprintf(best,
                 sizeof best,
                 "best %s validation in %s",
                 mn__percent_text(p->best_accuracy).text,
                 mn__bytes_text(p->best_bytes).text);
    snprintf(ret,
             MN__LINE_BYTES,
             "%s: %s%s, after %s",
             phase,
             work,
             best,
             mn__duration_text(p->elapsed_ms).text);
}

static void draw_status(mn__display *display, const mn_progress *progress)
{
    char line[MN__LINE_BYTES];
    int64_t now = mn_clock_ms();
    if (display->drawn && now - display->drawn_ms < REDRAW_MS &&
        progress->jobs_done < progress->jobs_total)
        return;
    mn__display_status(progress, terminal_columns(display->out) - 1, line);
    if (display->drawn && strcmp(line, display->last) == 0)
        return;
    fprintf(display->out, "%s%s", wipe, line);
    memcpy(display->last, line, sizeof line);
    display->drawn = true;
    display->drawn_ms = now;
}

void mn__display_progress(void *context, const mn_progress *progress)
{
    mn__display *display = context;
    if (progress->landed) {
        char line[MN__LINE_BYTES];
        mn__display_landed(progress, line);
        mn__display_done(display);
        fprintf(display->out, "%s\n", line);
    }
    if (display->live && strcmp(progress->phase, "done") != 0)
        draw_status(display, progress);
    (void)fflush(display->out);
}

void mn__display_done(mn__display *display)
{
    if (display->drawn)
        fputs(wipe, display->out);
    display->drawn = false;
    (void)fflush(display->out);
}
