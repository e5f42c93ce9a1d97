/* A JPEG comes in, its pixels at a smaller size go out: the parts put together.

   Compiled once for each kind of processor, under the name in SHRINK; what runs for every block or row is inline in
   the headers, so that it is made for that processor too. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "blocks.h"
#include "colour.h"
#include "huffman.h"
#include "interface.h"
#include "markers.h"
#include "memory.h"
#include "progressive.h"
#include "resample.h"
#include "sequential.h"
#include "taps.h"
#include "transform.h"
#include "types.h"

#if !defined(SHRINK)
#define SHRINK shrink_any
#endif

/* Room for the rows, taps and planes of each component. */
static enum outcome prepare(decoder *jpeg) {
    for (int i = 0; i < jpeg->components_count; i++) {
        component *part = &jpeg->components[i];
        if (!jpeg->tables_defined[part->table]) return UNSUPPORTED;
        memcpy(part->quantisation, jpeg->tables[part->table], sizeof part->quantisation);
        int across = jpeg->most_across / part->across, down = jpeg->most_down / part->down;
        int width = divided_up(part->width, part->reduction), height = divided_up(part->height, part->reduction);
        const component *before = i ? part - 1 : part;
        int alike = i && before->across == part->across && before->down == part->down &&
                    before->reduction == part->reduction;
        if (alike) part->columns = before->columns, part->rows = before->rows;
        enum outcome outcome = OK;
        if (!alike)
            outcome = make_taps(jpeg, &part->columns, jpeg->width, jpeg->target_width, width, across, part->reduction);
        if (outcome == OK && !alike)
            outcome = make_taps(jpeg, &part->rows, jpeg->height, jpeg->target_height, height, down, part->reduction);
        if (outcome != OK) return outcome;
        int rows = part->rows.most + 8 * part->down;
        for (part->ring_rows = 8; part->ring_rows < rows;) part->ring_rows *= 2;
        part->stride = divided_up(part->blocks_across * 8 / part->reduction, CHUNK) * CHUNK;
        part->ring = owned(jpeg, sizeof(uint16_t) * (size_t)part->ring_rows * (size_t)part->stride);
        part->lanes = owned(jpeg, sizeof(uint16_t) * LANES * (size_t)part->stride);
        part->plane = owned(jpeg, sizeof(uint16_t) * (size_t)jpeg->target_width * (size_t)jpeg->target_height);
        if (!part->ring || !part->lanes || !part->plane) return NO_MEMORY;
        memset(part->ring, 0, sizeof(uint16_t) * (size_t)part->ring_rows * (size_t)part->stride);
        memset(part->lanes, 0, sizeof(uint16_t) * LANES * (size_t)part->stride);
        set_multipliers(part);
    }
    return OK;
}

/* Where the samples of a block go; ``row`` and ``column`` count blocks. */
static inline uint16_t *ring_at(const component *part, int row, int column) {
    int side = 8 / part->reduction;
    return part->ring + (size_t)(row * side & (part->ring_rows - 1)) * part->stride + (size_t)column * side;
}

static void resample_rows(decoder *jpeg, int mcu_rows) {
    for (int i = 0; i < jpeg->components_count; i++) {
        component *part = &jpeg->components[i];
        resample(jpeg, part, mcu_rows * part->down * 8 / part->reduction);
    }
}

static enum outcome read_sequential(decoder *jpeg, const scan *only) {
    const uint8_t *at = only->data;
    bit_reader reader;
    enum outcome outcome = next_interval(jpeg, &at, &reader);
    int number = 0, until_restart = jpeg->restart_interval;
    int16_t block[BLOCK_ROOM] __attribute__((aligned(32)));
    uint8_t orders[MOST_COMPONENTS][ORDER_LENGTH];
    for (int i = 0; i < jpeg->components_count; i++) {
        /* The higher coefficients change means of 4 x 4 samples and more by next to nothing. */
        jpeg->components[i].kept = jpeg->components[i].reduction >= 4 ? LOW_SIDE * LOW_SIDE : 64;
        set_order(&jpeg->components[i], orders[i]);
    }
    for (int y = 0; y < jpeg->mcus_down && outcome == OK; y++) {
        for (int x = 0; x < jpeg->mcus_across; x++) {
            if (jpeg->restart_interval && until_restart-- == 0) {
                if ((outcome = restart(jpeg, &at, &reader, &number)) != OK) return outcome;
                until_restart = jpeg->restart_interval - 1;
            }
            for (int i = 0; i < jpeg->components_count; i++) {
                component *part = &jpeg->components[i];
                const huffman_table *dc = &jpeg->dc[part->dc_table], *ac = &jpeg->ac[part->ac_table];
                for (int by = 0; by < part->down; by++)
                    for (int bx = 0; bx < part->across; bx++) {
                        if (part->kept == 64) memset(block, 0, sizeof(int16_t) * 64);
                        else memset(block, 0, sizeof(int16_t) * LOW_SIDE * LOW_SIDE);
                        int more = read_block(&reader, dc, ac, orders[i], &part->prediction, block);
                        if (more < 0) return UNSUPPORTED;
                        transform(part, block, !more, ring_at(part, y * part->down + by, x * part->across + bx));
                    }
            }
            if (!within_padding(&reader)) return UNSUPPORTED;
        }
        resample_rows(jpeg, y + 1);
    }
    /* Further scans, or a DNL marker that gives the height last, are not supported. */
    return outcome == OK && (!within_data(&reader) || at[1] != 0xD9) ? UNSUPPORTED : outcome;
}

/* Marks the scans that make no visible difference to a small image. */
static void skip_scans(scan *scans, int count, int flags) {
    int luma = scans[0].components[0], last = -1;
    for (int i = 0; i < count; i++) {
        int refines = scans[i].high && scans[i].first, of_luma = scans[i].count == 1 && scans[i].components[0] == luma;
        if (refines && (flags & WITHOUT_REFINEMENTS)) scans[i].skipped = 1;
        if (refines && of_luma) last = i;
        if (of_luma && scans[i].first > 5 && (flags & WITHOUT_HIGH_LUMA)) scans[i].skipped = 1;
    }
    if (last >= 0 && (flags & WITHOUT_LAST_LUMA_REFINEMENT)) scans[last].skipped = 1;
}

/* Room for the coefficients of the scans that are decoded. */
static enum outcome make_coefficients(decoder *jpeg, const scan *scans, int count) {
    for (int i = 0; i < jpeg->components_count; i++) {
        component *part = &jpeg->components[i];
        for (int j = 0; j < 64; j++) part->low_bits[j] = -1;
        /* The others change means of several samples by next to nothing; but scans that refine need all of them. */
        part->kept = part->reduction == 1 ? 64 : LOW_SIDE * LOW_SIDE;
        for (int j = 0; j < count; j++)
            if (!scans[j].skipped && scans[j].first && scans[j].high)
                for (int k = 0; k < scans[j].count; k++)
                    if (scans[j].components[k] == i) part->kept = 64;
        part->room = part->kept + 8;
        size_t bytes = sizeof(int16_t) * (size_t)part->blocks_across * (size_t)part->blocks_down * (size_t)part->room;
        part->coefficients = owned(jpeg, bytes);
        if (!part->coefficients) return NO_MEMORY;
        memset(part->coefficients, 0, bytes);
    }
    return OK;
}

/* Whether the scan is the next one of its coefficients. A scan that was skipped is followed by none that refines it. */
static int in_order(decoder *jpeg, const scan *from) {
    for (int k = 0; k < from->count; k++)
        for (int zigzag = from->first; zigzag <= from->last; zigzag++) {
            int *low = &jpeg->components[from->components[k]].low_bits[zigzag];
            if (from->high ? *low != from->high : *low >= 0) return 0;
            if (from->first && jpeg->components[from->components[k]].low_bits[0] < 0) return 0;
            *low = from->low;
        }
    return 1;
}

static void transform_coefficients(decoder *jpeg) {
    for (int y = 0; y < jpeg->mcus_down; y++) {
        for (int i = 0; i < jpeg->components_count; i++) {
            component *part = &jpeg->components[i];
            for (int row = y * part->down; row < (y + 1) * part->down; row++)
                for (int column = 0; column < part->blocks_across; column++) {
                    size_t index = (size_t)row * part->blocks_across + column;
                    const int16_t *kept = part->coefficients + index * part->room;
                    uint64_t nonzero;
                    memcpy(&nonzero, kept + part->kept + NONZERO, sizeof nonzero);
                    transform(part, kept, nonzero == 0, ring_at(part, row, column));
                }
        }
        resample_rows(jpeg, y + 1);
    }
}

/* Finds the scans; of a sequential file, only one is understood. Tables may change between scans, so each is
   read when its turn comes; the first pass only looks where scans are. */
static enum outcome find_scans(decoder *jpeg, const uint8_t *at, scan *scans, int *count) {
    for (;;) {
        int marker;
        const uint8_t *inside, *after;
        if (next_segment(&at, jpeg->end, &marker, &inside, &after) != OK) return UNSUPPORTED;
        if (marker == 0xD9) return *count ? OK : UNSUPPORTED;
        if (marker == 0xDA) {
            scan *made = &scans[*count];
            *made = (scan){.start = inside, .data = after};
            if (*count == MOST_SCANS || read_scan_header(jpeg, inside, after, made) != OK) return UNSUPPORTED;
            ++*count;
            if (!jpeg->progressive) return OK;
            if ((at = after_data(after, jpeg->end)) == NULL) return UNSUPPORTED;
        } else if (*count == 0 || marker != 0xC4) {
            /* Between scans only Huffman tables are expected, and read later. */
            if (*count || read_segment(jpeg, marker, inside, after) != OK) return UNSUPPORTED;
        }
    }
}

static enum outcome read_progressive(decoder *jpeg, scan *scans, int count) {
    enum outcome outcome = make_coefficients(jpeg, scans, count);
    for (int i = 0; i < count && outcome == OK; i++) {
        scan again;
        if (i) {
            /* The tables between the scan before and this one. */
            const uint8_t *at = after_data(scans[i - 1].data, jpeg->end), *inside, *after;
            int marker = 0;
            for (;;) {
                if (at == NULL || next_segment(&at, jpeg->end, &marker, &inside, &after) != OK) return UNSUPPORTED;
                if (marker == 0xDA) break;
                if (read_segment(jpeg, marker, inside, after) != OK) return UNSUPPORTED;
            }
        }
        if (scans[i].skipped) continue;
        const uint8_t *header = scans[i].start;
        if (read_scan_header(jpeg, header, scans[i].data, &again) != OK || !in_order(jpeg, &scans[i]))
            return UNSUPPORTED;
        for (int k = 0; k < scans[i].count; k++) {
            const component *part = &jpeg->components[scans[i].components[k]];
            if (scans[i].first ? !jpeg->ac[part->ac_table].defined
                               : !scans[i].high && !jpeg->dc[part->dc_table].defined) return UNSUPPORTED;
        }
        outcome = read_scan(jpeg, &scans[i]);
    }
    for (int i = 0; i < jpeg->components_count; i++)
        if (jpeg->components[i].low_bits[0] != 0) return UNSUPPORTED;
    return outcome;
}

/* A DC coefficient takes at least one bit: 158 bytes that claim 200 megapixels cost neither time nor memory. */
static int may_hold_blocks(const decoder *jpeg) {
    size_t blocks = 0;
    for (int i = 0; i < jpeg->components_count; i++)
        blocks += (size_t)jpeg->components[i].own_blocks_across * (size_t)jpeg->components[i].own_blocks_down;
    return blocks / 8 <= (size_t)(jpeg->end - jpeg->body);
}

static int is_reduction(int number) { return number == 1 || number == 2 || number == 4 || number == 8; }

static enum outcome decode(decoder *jpeg, const jpeg_request *request) {
    scan scans[MOST_SCANS + 1];
    int count = 0;
    if (jpeg->end - jpeg->body < 4 || jpeg->body[0] != 0xFF || jpeg->body[1] != 0xD8) return UNSUPPORTED;
    enum outcome outcome = find_scans(jpeg, jpeg->body + 2, scans, &count);
    if (outcome != OK) return outcome;
    if (jpeg->components_count == 3 && !is_ycbcr(jpeg)) return UNSUPPORTED;
    if ((jpeg->components_count == 1) != ((request->flags & GREY) != 0) || !may_hold_blocks(jpeg)) return UNSUPPORTED;
    for (int i = 0; i < jpeg->components_count; i++) {
        component *part = &jpeg->components[i];
        int quarter = jpeg->most_across * jpeg->most_down >= 4 * part->across * part->down;
        part->reduction = quarter ? request->colour_reduction : request->luma_reduction;
        if (jpeg->progressive) continue;
        if (!jpeg->dc[part->dc_table].defined || !jpeg->ac[part->ac_table].defined) return UNSUPPORTED;
        build_pairs(&jpeg->ac[part->ac_table]);
    }
    jpeg->bits = owned(jpeg, (size_t)(jpeg->end - jpeg->body) + PADDING + 16);
    if (!jpeg->bits) return NO_MEMORY;
    if (jpeg->progressive) {
        skip_scans(scans, count, request->flags);
        if ((outcome = read_progressive(jpeg, scans, count)) != OK) return outcome;
        if ((outcome = prepare(jpeg)) != OK) return outcome;
        transform_coefficients(jpeg);
    } else {
        if ((outcome = prepare(jpeg)) != OK) return outcome;
        if ((outcome = read_sequential(jpeg, scans)) != OK) return outcome;
    }
    if (jpeg->components_count == 3) to_bgr(jpeg, request->pixels);
    else to_grey(jpeg, request->pixels);
    return OK;
}

static int is_between(int32_t side, int32_t most) { return side >= 1 && side <= most; }

int SHRINK(const jpeg_request *request) {
    if (!is_between(request->target_width, request->width) || !is_between(request->target_height, request->height))
        return UNSUPPORTED;
    if (!is_reduction(request->luma_reduction) || !is_reduction(request->colour_reduction)) return UNSUPPORTED;
    void *made = NULL;
    if (posix_memalign(&made, 64, sizeof(decoder))) return NO_MEMORY;
    decoder *jpeg = memset(made, 0, sizeof(decoder));
    jpeg->body = request->body, jpeg->end = request->body + request->length;
    jpeg->width = request->width, jpeg->height = request->height;
    jpeg->target_width = request->target_width, jpeg->target_height = request->target_height;
    jpeg->adobe_transform = -1;
    int outcome = (int)decode(jpeg, request);
    free_owned(jpeg);
    free(jpeg);
    return outcome;
}
