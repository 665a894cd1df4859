/*
 * The picture of a plan as SVG. Every rectangle is a buffer: as wide as its bytes, at its offset,
 * from its first step to its last. What a row leaves white is free at that step.
 */
#include "cli/memory_svg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/size.h"
#include "cli/text.h"

/* In pixels. */
enum { MARGIN = 16, TOP = 84, ROW = 18, TEXT_WIDTH = 390, MAP_WIDTH = 560, BOTTOM = 40 };
enum { MAP_LEFT = MARGIN + TEXT_WIDTH, WIDTH = MAP_LEFT + MAP_WIDTH + MARGIN };
enum { NAME_MOST = 40 };

static const char style[] =
    "<style>text{font:12px sans-serif;fill:#222}.n{text-anchor:end}.p{font-weight:bold}"
    ".h{font-size:15px;font-weight:bold}.g{fill:#666}.b{fill:#7aa6d8;stroke:#fff}"
    ".i{fill:#8cc28c;stroke:#fff}.s{fill:#e6b35c;stroke:#fff}</style>\n";

typedef struct picture {
    const mn__pipeline *network;
    const mn_plan *plan;
    mn_buffer svg;
    uint32_t *first_value; /* (buffers) its first value; MN_NONE for scratch */
    uint32_t *scratch_of;  /* (buffers) the node whose scratch it is, or MN_NONE */
} picture;

/* Text of an element: bytes that XML or UTF-8 would not take become '?', long texts end in "...".
 * `most` counts bytes; 0 is no limit. */
static void put_text(picture *p, const char *text, size_t most)
{
    size_t length = strlen(text);
    bool cut = most > 0 && length > most;
    for (size_t i = 0; i < (cut ? most - 3 : length); i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '&' || c == '<' || c == '>' || c == '"')
            mn_buffer_printf(&p->svg, "&#%d;", c);
        else
            mn_buffer_printf(&p->svg, "%c", c < 0x20 || c > 0x7e ? '?' : c);
    }
    if (cut)
        mn_buffer_append(&p->svg, "...", 3);
}

static double map_width(const picture *p, size_t bytes)
{
    size_t arena = p->plan->arena_bytes == 0 ? 1 : p->plan->arena_bytes;
    return (double)bytes / (double)arena * MAP_WIDTH;
}

static size_t most_live(const mn_plan *plan)
{
    size_t most = 0;
    for (uint32_t s = 0; s < plan->step_count; s++)
        most = plan->steps[s].live_bytes > most ? plan->steps[s].live_bytes : most;
    return most;
}

static void put_head(picture *p)
{
    const mn_plan *plan = p->plan;
    mn_buffer_printf(&p->svg, "<text class=\"h\" x=\"%d\" y=\"26\">", MARGIN);
    put_text(p, p->network->path, 110);
    mn_buffer_printf(&p->svg, "</text>\n<text x=\"%d\" y=\"46\">arena ", MARGIN);
    put_text(p, mn__bytes_text(plan->arena_bytes).text, 0);
    mn_buffer_printf(&p->svg, ", lower bound ");
    put_text(p, mn__bytes_text(plan->lower_bound_bytes).text, 0);
    mn_buffer_printf(&p->svg, ", weights ");
    put_text(p, mn__bytes_text(plan->weights_bytes).text, 0);
    mn_buffer_printf(&p->svg, ", %s</text>\n", mn__pipeline_sizes_text(p->network));
    mn_buffer_printf(&p->svg,
                     "<text class=\"g\" x=\"%d\" y=\"%d\">step</text>"
                     "<text class=\"g n\" x=\"%d\" y=\"%d\">live bytes</text>"
                     "<text class=\"g\" x=\"%d\" y=\"%d\">0</text>"
                     "<text class=\"g n\" x=\"%d\" y=\"%d\">%s</text>\n",
                     MARGIN,
                     TOP - 8,
                     MAP_LEFT - 10,
                     TOP - 8,
                     MAP_LEFT,
                     TOP - 8,
                     MAP_LEFT + MAP_WIDTH,
                     TOP - 8,
                     mn__count_text(plan->arena_bytes).text);
}

static void put_step(picture *p, uint32_t step, size_t peak)
{
    const mn_step *s = &p->plan->steps[step];
    const mn_node *node = mn_graph_node(p->network->deployed, s->node);
    const char *emphasis = s->live_bytes == peak ? "p" : "";
    double y = TOP + (double)step * ROW + ROW - 5;
    mn_buffer_printf(&p->svg,
                     "<text class=\"g\" x=\"%d\" y=\"%.0f\">%" PRIu32 "</text>"
                     "<text class=\"%s\" x=\"%d\" y=\"%.0f\">",
                     MARGIN,
                     y,
                     step,
                     emphasis,
                     MARGIN + 34,
                     y);
    put_text(p, node->name, NAME_MOST);
    mn_buffer_printf(&p->svg,
                     "<title>%s</title></text><text class=\"n %s\" x=\"%d\" y=\"%.0f\">%s</text>\n",
                     mn_prim_name(node->prim),
                     emphasis,
                     MAP_LEFT - 10,
                     y,
                     mn__count_text(s->live_bytes).text);
}

static void put_buffer(picture *p, uint32_t index)
{
    const mn_plan_buffer *b = &p->plan->buffers[index];
    bool scratch = p->scratch_of[index] != MN_NONE;
    uint32_t n = scratch ? p->scratch_of[index] : p->first_value[index];
    if (n == MN_NONE)
        return;
    const mn_node *node = mn_graph_node(p->network->deployed, n);
    mn_buffer_printf(&p->svg,
                     "<rect class=\"%s\" x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\">"
                     "<title>",
                     scratch                       ? "s"
                     : node->prim == MN_PRIM_INPUT ? "i"
                                                   : "b",
                     MAP_LEFT + map_width(p, b->offset),
                     TOP + (double)b->first_step * ROW,
                     map_width(p, b->bytes),
                     ((double)b->last_step - b->first_step + 1) * ROW);
    put_text(p, node->name, 0);
    mn_buffer_printf(&p->svg,
                     "%s: %s bytes at %s, steps %" PRIu32 " to %" PRIu32 "</title></rect>\n",
                     scratch ? " (scratch)" : "",
                     mn__count_text(b->bytes).text,
                     mn__count_text(b->offset).text,
                     b->first_step,
                     b->last_step);
}

/* Frame, line of the lower bound, legend. */
static void put_frame(picture *p)
{
    double height = (double)p->plan->step_count * ROW;
    double bound = MAP_LEFT + map_width(p, p->plan->lower_bound_bytes);
    mn_buffer_printf(&p->svg,
                     "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%.0f\" fill=\"none\" "
                     "stroke=\"#888\"/>\n"
                     "<path d=\"M%.2f %d V%.0f\" stroke=\"#b00\" stroke-dasharray=\"4 3\">"
                     "<title>lower bound</title></path>\n",
                     MAP_LEFT,
                     TOP,
                     MAP_WIDTH,
                     height,
                     bound,
                     TOP - 4,
                     TOP + height + 4);
    static const char *const legend[][2] = {
        {"i", "input"}, {"b", "values"}, {"s", "scratch of a kernel"}};
    double y = TOP + height + 16;
    for (int i = 0; i < 3; i++)
        mn_buffer_printf(&p->svg,
                         "<rect class=\"%s\" x=\"%d\" y=\"%.0f\" width=\"12\" height=\"12\"/>"
                         "<text x=\"%d\" y=\"%.0f\">%s</text>\n",
                         legend[i][0],
                         MAP_LEFT + 90 * i,
                         y,
                         MAP_LEFT + 90 * i + 17,
                         y + 10,
                         legend[i][1]);
}

/* Whose each buffer is. */
static void find_owners(picture *p)
{
    const mn_plan *plan = p->plan;
    for (uint32_t b = 0; b < plan->buffer_count; b++)
        p->first_value[b] = p->scratch_of[b] = MN_NONE;
    for (uint32_t v = plan->value_count; v-- > 0;)
        if (plan->views[v].buffer != MN_NONE)
            p->first_value[plan->views[v].buffer] = v;
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].scratch != MN_NONE)
            p->scratch_of[plan->steps[s].scratch] = plan->steps[s].node;
}

mn_status mn__memory_svg(const mn__pipeline *network, const char *path, mn_error *err)
{
    const mn_plan *plan = network->plan;
    picture p = {.network = network, .plan = plan};
    char *text = NULL;
    size_t peak = most_live(plan);
    double height = TOP + (double)plan->step_count * ROW + BOTTOM;
    p.first_value = mn_calloc(plan->buffer_count, sizeof *p.first_value);
    p.scratch_of = mn_calloc(plan->buffer_count, sizeof *p.scratch_of);
    mn_buffer_init(&p.svg);
    mn_status status = MN_OK;
    if (p.first_value == NULL || p.scratch_of == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    find_owners(&p);
    mn_buffer_printf(&p.svg,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                     "viewBox=\"0 0 %d %.0f\">\n%s"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                     WIDTH,
                     height,
                     WIDTH,
                     height,
                     style);
    put_head(&p);
    for (uint32_t s = 0; s < plan->step_count; s++)
        put_step(&p, s, peak);
    for (uint32_t b = 0; b < plan->buffer_count; b++)
        put_buffer(&p, b);
    put_frame(&p);
    mn_buffer_printf(&p.svg, "</svg>\n");
    size_t count = p.svg.count;
    status = mn_buffer_take(&p.svg, &text, err);
    if (status == MN_OK)
        status = mn_file_write(path, text, count, err);
done:
    free(text);
    mn_buffer_done(&p.svg);
    free(p.first_value);
    free(p.scratch_of);
    return status;
}
