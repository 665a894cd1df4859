/**
 * The genotype: which network it is, as blocks of two-input cells (augment-trim search space).
 *
 * A block reads one value, its input. Cell k (from 0) of a block reads two values: number 0 is
 * the block's input, number j > 0 is the output of cell j-1, so j <= k. Each of its two ops yields
 * the block's width of channels; `combine` adds or concatenates them. The outputs of the cells
 * that are marked `out` are concatenated (in cell order) into the block's output. The block's
 * stride applies where an op reads the block's input.
 */
#ifndef MEMNET_GENOTYPE_H
#define MEMNET_GENOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/graph.h"
#include "memnet/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MN_GENOTYPE_FORMAT 1
#define MN_MAX_BLOCKS 16
#define MN_MAX_CELLS 15
#define MN_MAX_WIDTH 4096
#define MN_MAX_INPUT_SIDE 2048
#define MN_MAX_INPUT_CHANNELS 256
#define MN_MAX_CLASSES 10000
#define MN_MAX_STRIDE 4
#define MN_GENOTYPE_JSON_BYTES (256 * 1024)
#define MN_ID_BYTES 17 /**< 16 hex digits and the NUL. */

/* Cell ops; the first seven are the paper's, in its order. Their numbers are part of the id, so a
 * new op is a row at the end and a lowering function in space/cell_ops.c. */
#define MN_CELL_OP_LIST(X)                                                                         \
    X(MN_OP_AVG_POOL, "avg_pool_3x3")                                                              \
    X(MN_OP_MAX_POOL, "max_pool_3x3")                                                              \
    X(MN_OP_DILATED_CONV, "dil_conv_3x3")                                                          \
    X(MN_OP_FACTORISED_CONV, "conv_1x7_7x1")                                                       \
    X(MN_OP_SEPARABLE_5X5, "sep_conv_5x5")                                                         \
    X(MN_OP_SEPARABLE_3X3, "sep_conv_3x3")                                                         \
    X(MN_OP_CONV_3X3, "conv_3x3")                                                                  \
    X(MN_OP_IDENTITY, "identity")                                                                  \
    X(MN_OP_CONV_1X1, "conv_1x1")                                                                  \
    X(MN_OP_MBCONV_3X3_E3, "mbconv_3x3_e3")                                                        \
    X(MN_OP_MBCONV_3X3_E6, "mbconv_3x3_e6")                                                        \
    X(MN_OP_MBCONV_5X5_E3, "mbconv_5x5_e3")                                                        \
    X(MN_OP_MBCONV_5X5_E6, "mbconv_5x5_e6")

typedef enum mn_cell_op {
#define MN__CELL_OP_ENUM(name, text) name,
    MN_CELL_OP_LIST(MN__CELL_OP_ENUM)
#undef MN__CELL_OP_ENUM
        MN_OP_COUNT
} mn_cell_op;

#define MN_PAPER_OP_COUNT 7u /**< Augment draws from the first seven. */

typedef enum mn_combine { MN_COMBINE_ADD, MN_COMBINE_CONCAT } mn_combine;
typedef enum mn_head { MN_HEAD_GAP, MN_HEAD_MAXPOOL2 } mn_head;

typedef struct mn_cell {
    uint32_t in[2];
    mn_cell_op op[2];
    mn_combine combine;
    bool out;
} mn_cell;

typedef struct mn_block {
    uint32_t stride; /**< 1 to MN_MAX_STRIDE */
    uint32_t width;  /**< 1 to MN_MAX_WIDTH */
    uint32_t cell_count;
    mn_cell cells[MN_MAX_CELLS];
} mn_block;

typedef struct mn_stem {
    uint32_t width; /**< 0 = no stem: the first block reads the image. */
    uint32_t stride;
} mn_stem;

/** A value: copy with =. About 6 KB. Blocks and cells past the counts are zero. */
typedef struct mn_genotype {
    mn_shape input;
    uint32_t classes;
    mn_stem stem;
    uint32_t block_count;
    mn_block blocks[MN_MAX_BLOCKS];
    mn_head head;
} mn_genotype;

/** Name of an op as in JSON; "unknown" for other values. */
MN_API const char *mn_cell_op_name(mn_cell_op op);

/** MN_OK when every field is in range and every cell's output is marked or read. The message says
 * which: "block 0 cell 3: input 7 out of range [0,4)". */
MN_API mn_status mn_genotype_check(const mn_genotype *genotype, mn_error *err);

/**
 * Parses and checks the JSON of docs/formats.md. At most MN_GENOTYPE_JSON_BYTES.
 * @retval MN_ERR_FORMAT  Malformed, unknown key or op, a value out of range.
 */
MN_API mn_status mn_genotype_parse(const char *json,
                                   size_t count,
                                   mn_genotype *ret_genotype,
                                   mn_error *err);

/** Reads a file and parses it; messages name the path. */
MN_API mn_status mn_genotype_load(const char *path, mn_genotype *ret_genotype, mn_error *err);

/** JSON in one line (indent 0) or pretty (indent 1..8); the caller frees. parse(print(g)) == g. */
MN_API mn_status mn_genotype_print(const mn_genotype *genotype,
                                   int indent,
                                   char **ret_json,
                                   mn_error *err);

MN_API bool mn_genotype_equal(const mn_genotype *a, const mn_genotype *b);

/** The canonical form: in each cell the two (input, op) pairs in ascending order. Feeds the id
 * only; stored cells keep their order. */
MN_API void mn_genotype_canonical(const mn_genotype *genotype, mn_genotype *ret_canonical);

/** 16 hex digits of the hash of the canonical form. Networks that differ only in the order of a
 * cell's two (input, op) pairs share it. */
MN_API void mn_genotype_id(const mn_genotype *genotype, char ret_id[MN_ID_BYTES]);

/* ---- layers: how moves and inheritance speak of the parts of a genotype ---------------------- */

/** Layers in order: stem, then block by block cell by cell (op 0, op 1, combine) and the block's
 * output concat, then the head. The stem and every slot have a number even when they lower to
 * nothing. */
MN_API uint32_t mn_genotype_layer_count(const mn_genotype *genotype);
MN_API uint32_t mn_genotype_layer_stem(void);
/** slot: 0 and 1 the ops, 2 the combine. */
MN_API uint32_t mn_genotype_layer_cell(const mn_genotype *genotype,
                                       uint32_t block,
                                       uint32_t cell,
                                       uint32_t slot);
MN_API uint32_t mn_genotype_layer_block_output(const mn_genotype *genotype, uint32_t block);
MN_API uint32_t mn_genotype_layer_head(const mn_genotype *genotype);

/** parent[child layer] = the parent's layer that it continues, or MN_NONE for a new one. */
typedef struct mn_layer_map {
    uint32_t count;
    uint32_t *parent;
} mn_layer_map;

/** Frees what the map owns and zeroes it. */
MN_API void mn_layer_map_done(mn_layer_map *map);

/**
 * Lowers a genotype to a graph of primitives with batch norms unfolded: conv + BN + ReLU for the
 * ops as in the paper's table, a projection (1x1 conv + BN, strided) where an identity changes
 * shape, concat and add, head. Node names are "block0.cell1.op0.conv" and so on; every node
 * carries its layer. The only output is the logits (1,1,classes).
 * @retval MN_ERR_ARG  The genotype does not pass mn_genotype_check().
 */
MN_API mn_status mn_genotype_lower(const mn_genotype *genotype,
                                   mn_graph **ret_graph,
                                   mn_error *err);

#ifdef __cplusplus
}
#endif
#endif
