/*
 * Files of a network's layers. Invariant: the folder appears complete, or nothing does.
 */
#include "cli/dump_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "cli/text.h"
#include "emit/folder.h"

typedef struct dump {
    const mn__pipeline *network;
    mn_buffer *names;    /* (most) */
    mn_buffer *contents; /* (most) */
    uint32_t count, most;
    json_t *layers;
} dump;

/* The header is padded so that it ends, with a line feed, at a multiple of 64 bytes. */
static void write_npy(mn_buffer *out, mn_shape shape)
{
    char text[118];
    int used = snprintf(text,
                        sizeof text,
                        "{'descr': '|i1', 'fortran_order': False, 'shape': (%u, %u, %u), }",
                        shape.h,
                        shape.w,
                        shape.c);
    mn_buffer_append(out, "\x93NUMPY\x01\x00\x76\x00", 10); /* version 1.0, 118 bytes follow */
    mn_buffer_printf(out, "%s%*s\n", text, 117 - used, "");
}

static void add_layer(void *context, uint32_t n, const int8_t *values, uint32_t pixel_stride)
{
    dump *d = context;
    const mn_node *node = mn_graph_node(d->network->deployed, n);
    mn_quant_value grid = d->network->quant->values[n];
    if (d->count == d->most)
        return;
    mn_buffer *name = &d->names[d->count];
    mn_buffer *content = &d->contents[d->count];
    mn_buffer_printf(name, "%03u-%s.npy", d->count, node->name);
    for (size_t i = 0; name->bytes != NULL && i < name->count; i++)
        if (name->bytes[i] == '/')
            name->bytes[i] = '_';
    write_npy(content, node->shape);
    for (size_t p = 0; p < (size_t)node->shape.h * node->shape.w; p++)
        mn_buffer_append(content, values + p * pixel_stride, node->shape.c);
    d->count++;
    json_t *layer = json_pack("{s:o, s:o, s:s, s:o, s:i}",
                              "file",
                              mn__json_text(name->bytes == NULL ? "" : name->bytes),
                              "node",
                              mn__json_text(node->name),
                              "op",
                              mn_prim_name(node->prim),
                              "scale",
                              mn__json_number((double)grid.scale),
                              "zero_point",
                              (int)grid.zero_point);
    if (layer == NULL || json_array_append_new(d->layers, layer) != 0)
        content->failed = true;
}

static mn_status run(dump *d, const mn_int8_network *int8, const mn_int8_task *task, mn_error *err)
{
    const mn_graph *graph = d->network->deployed;
    uint32_t output = mn_graph_output(graph, 0);
    mn_status status = MN_OK;
    int8_t *arena = mn_calloc(mn_int8_network_arena_bytes(int8), 1);
    int8_t *input = mn_calloc(mn_shape_elements(task->dataset->shape), 1);
    int8_t *logits = mn_calloc(mn_shape_elements(mn_graph_node(graph, output)->shape), 1);
    if (arena == NULL || input == NULL || logits == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    mn_int8_network_image(int8,
                          task->preprocessing,
                          task->dataset,
                          task->images,
                          task->indices == NULL ? 0 : task->indices[0],
                          input);
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++)
        if (mn_graph_node(graph, n)->prim == MN_PRIM_INPUT)
            add_layer(d, n, input, task->dataset->shape.c);
    const mn_int8_visitor visitor = {.visit = add_layer, .context = d};
    mn_int8_network_run(int8, arena, input, logits, &visitor);
done:
    free(arena);
    free(input);
    free(logits);
    return status;
}

static mn_status write_files(const dump *d, const char *folder, mn_error *err)
{
    mn__file *files = mn_calloc((size_t)d->count + 1, sizeof *files);
    char *text = json_dumps(d->layers, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    mn_status status = MN_OK;
    if (files == NULL || text == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < d->count && status == MN_OK; i++) {
        status = mn_buffer_check(&d->names[i], err);
        if (status == MN_OK)
            status = mn_buffer_check(&d->contents[i], err);
        if (status == MN_OK)
            files[i] = (mn__file){.name = d->names[i].bytes,
                                  .bytes = d->contents[i].bytes,
                                  .count = d->contents[i].count};
    }
    if (status == MN_OK) {
        files[d->count] = (mn__file){.name = "layers.json", .bytes = text, .count = strlen(text)};
        status = mn__folder_write(folder, files, (size_t)d->count + 1, err);
    }
    free(text);
    free(files);
    return status;
}

mn_status mn__dump_layers(const mn__pipeline *network,
                          const mn_int8_network *int8,
                          const mn_int8_task *task,
                          const char *folder,
                          mn_error *err)
{
    dump d = {.network = network, .most = mn_graph_node_count(network->deployed)};
    mn_status status = mn__folder_check(folder, false, err);
    d.names = mn_calloc(d.most, sizeof *d.names);
    d.contents = mn_calloc(d.most, sizeof *d.contents);
    d.layers = json_array();
    if (status == MN_OK && (d.names == NULL || d.contents == NULL || d.layers == NULL))
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = run(&d, int8, task, err);
    if (status == MN_OK)
        status = write_files(&d, folder, err);
    for (uint32_t i = 0; d.names != NULL && d.contents != NULL && i < d.most; i++) {
        mn_buffer_done(&d.names[i]);
        mn_buffer_done(&d.contents[i]);
    }
    free(d.names);
    free(d.contents);
    json_decref(d.layers);
    return status;
}
