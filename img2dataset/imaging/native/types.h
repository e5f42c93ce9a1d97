/* What the parts of the shrinking decoder hand to one another. Sizes in samples unless they say otherwise. */
#ifndef SHRINK_TYPES_H
#define SHRINK_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* OK, or why the caller must use another decoder. A damaged file is UNSUPPORTED: nothing here guesses. */
enum outcome { OK = 0, UNSUPPORTED = 1, NO_MEMORY = 2 };

enum {
    MOST_COMPONENTS = 3,
    MOST_SCANS = 64,
    /* Of a block that becomes few samples, so many coefficients a side are kept. */
    LOW_SIDE = 4,
    LOOKUP_BITS = 11,
    /* Zeros after the bits of a scan, more than one MCU can use: 10 blocks of 64 symbols of 27 bits. */
    PADDING = 4096,
    /* How many finished rows are turned into columns at once. */
    LANES = 16,
    /* The low bits of a sum: fractions of a level. */
    FRACTION_BITS = 8,
};

/* One Huffman table. An entry of ``lookup`` is for the next LOOKUP_BITS bits: bits 0-7 how many of them a whole
   symbol with its value takes (0: look closer), 8-15 by how much it moves on in the block, 16-31 its value. */
typedef struct {
    int defined;
    uint32_t lookup[1 << LOOKUP_BITS];
    uint16_t prefix[1 << LOOKUP_BITS];      /* length << 8 | symbol of a code that fits, or 0 */
    int32_t first_beyond[18];               /* codes of 16 bits from here on are longer than the index */
    int32_t offset[17];
    uint8_t symbols[256];
    /* Of the symbols of a sequential block, where they fit, two: bits 0-7 how many bits both take (0: look closer),
       8-15 the first alone, 16-23 by how much the first moves on, 24-31 both, 32-47 and 48-63 their values.
       Last, as only build_pairs writes it. */
    uint64_t pairs[1 << LOOKUP_BITS];
} huffman_table;

/* The weights with which samples make one line (row or column) of the result: 65536 in all. */
typedef struct {
    int32_t *first;   /* the first sample of each line */
    int32_t *count;
    int32_t *start;   /* where its weights begin */
    uint16_t *weights;
    int most;         /* the largest count */
} taps;

typedef struct {
    int id, across, down, table;             /* sampling factors; quantisation table */
    int reduction;                           /* the mean of so many samples a side is decoded: 1, 2, 4 or 8 */
    int width, height;                       /* of the whole plane, before ``reduction`` */
    int blocks_across, blocks_down;          /* with those that only fill MCUs */
    int own_blocks_across, own_blocks_down;  /* without */
    int dc_table, ac_table;
    int prediction;
    int16_t quantisation[64];                /* zigzag order */
    float multipliers[64] __attribute__((aligned(32)));  /* as blocks lie: see BLOCK_ORDER */
    float missing[64] __attribute__((aligned(32)));      /* added for bits not decoded: 0.4 of the most they can be */
    float low_multipliers[16] __attribute__((aligned(32))), low_missing[16] __attribute__((aligned(32)));
    int imprecise;                           /* some of ``missing`` is not 0 */
    int low_bits[64];                        /* low bits not decoded yet, by zigzag index; -1: all */
    int16_t *coefficients;                   /* progressive: ``room`` for each block */
    int kept;                                /* the coefficients of a block that are: 16 of 4 x 4, or 64 */
    int room;                                /* of a block: ``kept``, one entry past the end, NONZERO bits */
    uint16_t *ring;                          /* decoded rows, levels << FRACTION_BITS */
    int ring_rows, stride;
    taps rows, columns;
    int row;                                 /* the next row of the result */
    uint16_t *lanes;                         /* LANES rows of the result, not yet reduced across, by column */
    uint16_t *plane;                         /* the result, target_width x target_height */
} component;

typedef struct {
    const uint8_t *start;   /* of the scan's own marker segment */
    const uint8_t *data;
    int components[MOST_COMPONENTS], count;
    int first, last, high, low;
    int skipped;
} scan;

typedef struct {
    const uint8_t *body, *end;
    int width, height, target_width, target_height;
    int progressive, components_count, most_across, most_down, mcus_across, mcus_down;
    int restart_interval;
    int jfif, adobe_transform; /* -1: no mark of Adobe */
    component components[MOST_COMPONENTS];
    int16_t tables[4][64];
    int tables_defined[4];
    huffman_table dc[4], ac[4];
    uint8_t *bits;           /* a scan's data without stuffing */
    void *owned[64];
    int owned_count;
} decoder;

static inline int divided_up(int number, int by) { return (number + by - 1) / by; }

#endif
