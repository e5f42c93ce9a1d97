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
static enum outcome prepare(decoder *all) {
    for (int i = 0; i < all->components_count; i++) {
        component *part = &all->components[i];
        if (!all->tables_defined[part->table]) return NOT_FOR_US;
        memcpy(part->quantisation, all->tables[part->table], sizeof part->quantisation);
        int across = all->most_across / part->across, down = all->most_down / part->down;
        int width = divided_up(part->width, part->reduction), height = divided_up(part->height, part->reduction);
        const component *before = i ? part - 1 : part;
        int alike = i && before->across == part->across && before->down == part->down && before->reduction == part->reduction;
        if (alike) part->columns = before->columns, part->rows = before->rows;
        enum outcome outcome = OK;
        if (!alike)
            outcome = make_taps(all, &part->columns, all->width, all->target_width, width, across, part->reduction);
        if (outcome == OK && !alike)
            outcome = make_taps(all, &part->rows, all->height, all->target_height, height, down, part->reduction);
        if (outcome != OK) return outcome;
        int rows = part->rows.most + 8 * part->down;
        for (part->ring_rows = 8; part->ring_rows < rows;) part->ring_rows *= 2;
        part->stride = divided_up(part->blocks_across * 8 / part->reduction, CHUNK) * CHUNK;
        part->ring = owned(all, sizeof(uint16_t) * (size_t)part->ring_rows * (size_t)part->stride);
        part->lanes = owned(all, sizeof(uint16_t) * LANES * (size_t)part->stride);
        part->plane = owned(all, sizeof(uint16_t) * (size_t)all->target_width * (size_t)all->target_height);
        if (!part->ring || !part->lanes || !part->plane) return NO_MEMORY;
        memset(part->ring, 0, sizeof(uint16_t) * (size_t)part->ring_rows * (size_t)part->stride);
        memset(part->lanes, 0, sizeof(uint16_t) * LANES * (size_t)part->stride);
        set_multipliers(part);
    }
    return OK;
}

/* Where the samples of a block go; ``row`` and ``column`` count blocks. */
static inline uint16_t *ring_place(const component *part, int row, int column) {
    int side = 8 / part->reduction;
    return part->ring + (size_t)(row * side & (part->ring_rows - 1)) * part->stride + (size_t)column * side;
}

static void take_rows(decoder *all, int mcu_rows) {
    for (int i = 0; i < all->components_count; i++) {
        component *part = &all->components[i];
        resample(all, part, mcu_rows * part->down * 8 / part->reduction);
    }
}

static enum outcome read_sequential(decoder *all, const scan *only) {
    const uint8_t *at = only->data;
    bit_reader reader;
    enum outcome outcome = next_interval(all, &at, &reader);
    int number = 0, until_restart = all->restart_interval;
    int16_t block[BLOCK_ROOM] __attribute__((aligned(32)));
    uint8_t orders[MOST_COMPONENTS][ORDER_LENGTH];
    for (int i = 0; i < all->components_count; i++) {
        /* Means of 4 x 4 and more show next to nothing of the higher coefficients. */
        all->components[i].kept = all->components[i].reduction >= 4 ? LOW_SIDE * LOW_SIDE : 64;
        set_order(&all->components[i], orders[i]);
    }
    for (int y = 0; y < all->mcus_down && outcome == OK; y++) {
        for (int x = 0; x < all->mcus_across; x++) {
            if (all->restart_interval && until_restart-- == 0) {
                if ((outcome = restart(all, &at, &reader, &number)) != OK) return outcome;
                until_restart = all->restart_interval - 1;
            }
            for (int i = 0; i < all->components_count; i++) {
                component *part = &all->components[i];
                const huffman_table *dc = &all->dc[part->dc_table], *ac = &all->ac[part->ac_table];
                for (int by = 0; by < part->down; by++)
                    for (int bx = 0; bx < part->across; bx++) {
                        if (part->kept == 64) memset(block, 0, sizeof(int16_t) * 64);
                        else memset(block, 0, sizeof(int16_t) * LOW_SIDE * LOW_SIDE);
                        int more = read_block(&reader, dc, ac, orders[i], &part->prediction, block);
                        if (more < 0) return NOT_FOR_US;
                        transform(part, block, !more, ring_place(part, y * part->down + by, x * part->across + bx));
                    }
            }
            if (!within(&reader)) return NOT_FOR_US;
        }
        take_rows(all, y + 1);
    }
    /* Another scan, or a height said at last, is not understood. */
    return outcome == OK && (!all_were_there(&reader) || at[1] != 0xD9) ? NOT_FOR_US : outcome;
}

/* Marks the scans that a small image does not show. */
static void leave_out(scan *scans, int count, int flags) {
    int luma = scans[0].components[0], last = -1;
    for (int i = 0; i < count; i++) {
        int refines = scans[i].high && scans[i].first, of_luma = scans[i].count == 1 && scans[i].components[0] == luma;
        if (refines && (flags & WITHOUT_REFINEMENTS)) scans[i].left_out = 1;
        if (refines && of_luma) last = i;
        if (of_luma && scans[i].first > 5 && (flags & WITHOUT_HIGH_LUMA)) scans[i].left_out = 1;
    }
    if (last >= 0 && (flags & WITHOUT_LAST_LUMA_REFINEMENT)) scans[last].left_out = 1;
}

/* Room for the coefficients that the wanted scans bring. */
static enum outcome make_coefficients(decoder *all, const scan *scans, int count) {
    for (int i = 0; i < all->components_count; i++) {
        component *part = &all->components[i];
        for (int j = 0; j < 64; j++) part->low_bits[j] = -1;
        /* Means of several samples show next to nothing of the others; but what is refined must be known. */
        part->kept = part->reduction == 1 ? 64 : LOW_SIDE * LOW_SIDE;
        for (int j = 0; j < count; j++)
            if (!scans[j].left_out && scans[j].first && scans[j].high)
                for (int k = 0; k < scans[j].count; k++)
                    if (scans[j].components[k] == i) part->kept = 64;
        part->room = part->kept + 8;
        size_t bytes = sizeof(int16_t) * (size_t)part->blocks_across * (size_t)part->blocks_down * (size_t)part->room;
        part->coefficients = owned(all, bytes);
        if (!part->coefficients) return NO_MEMORY;
        memset(part->coefficients, 0, bytes);
    }
    return OK;
}

/* Whether the scan is the next one of its coefficients; what is left out refines nothing that comes later. */
static int in_order(decoder *all, const scan *from) {
    for (int k = 0; k < from->count; k++)
        for (int place = from->first; place <= from->last; place++) {
            int *low = &all->components[from->components[k]].low_bits[place];
            if (from->high ? *low != from->high : *low >= 0) return 0;
            if (from->first && all->components[from->components[k]].low_bits[0] < 0) return 0;
            *low = from->low;
        }
    return 1;
}

static void take_coefficients(decoder *all) {
    for (int y = 0; y < all->mcus_down; y++) {
        for (int i = 0; i < all->components_count; i++) {
            component *part = &all->components[i];
            for (int row = y * part->down; row < (y + 1) * part->down; row++)
                for (int column = 0; column < part->blocks_across; column++) {
                    const int16_t *kept = part->coefficients + ((size_t)row * part->blocks_across + column) * part->room;
                    uint64_t known;
                    memcpy(&known, kept + part->kept + KNOWN, sizeof known);
                    transform(part, kept, known == 0, ring_place(part, row, column));
                }
        }
        take_rows(all, y + 1);
    }
}

/* Finds the scans; of a sequential file, only one is understood. Tables may change between scans, so each is
   read when its turn comes; the first pass only looks where scans are. */
static enum outcome find_scans(decoder *all, const uint8_t *at, scan *scans, int *count) {
    for (;;) {
        int marker;
        const uint8_t *inside, *after;
        if (next_segment(&at, all->end, &marker, &inside, &after) != OK) return NOT_FOR_US;
        if (marker == 0xD9) return *count ? OK : NOT_FOR_US;
        if (marker == 0xDA) {
            scan *made = &scans[*count];
            *made = (scan){.start = inside, .data = after};
            if (*count == MOST_SCANS || read_scan_header(all, inside, after, made) != OK) return NOT_FOR_US;
            ++*count;
            if (!all->progressive) return OK;
            if ((at = after_data(after, all->end)) == NULL) return NOT_FOR_US;
        } else if (*count == 0 || marker != 0xC4) {
            /* Between scans only Huffman tables are expected, and read later. */
            if (*count || read_segment(all, marker, inside, after) != OK) return NOT_FOR_US;
        }
    }
}

static enum outcome read_progressive(decoder *all, scan *scans, int count) {
    enum outcome outcome = make_coefficients(all, scans, count);
    for (int i = 0; i < count && outcome == OK; i++) {
        scan again;
        if (i) {
            /* The tables between the scan before and this one. */
            const uint8_t *at = after_data(scans[i - 1].data, all->end), *inside, *after;
            int marker = 0;
            for (;;) {
                if (at == NULL || next_segment(&at, all->end, &marker, &inside, &after) != OK) return NOT_FOR_US;
                if (marker == 0xDA) break;
                if (read_segment(all, marker, inside, after) != OK) return NOT_FOR_US;
            }
        }
        if (scans[i].left_out) continue;
        const uint8_t *header = scans[i].start;
        if (read_scan_header(all, header, scans[i].data, &again) != OK || !in_order(all, &scans[i])) return NOT_FOR_US;
        for (int k = 0; k < scans[i].count; k++) {
            const component *part = &all->components[scans[i].components[k]];
            if (scans[i].first ? !all->ac[part->ac_table].defined
                               : !scans[i].high && !all->dc[part->dc_table].defined) return NOT_FOR_US;
        }
        outcome = read_scan(all, &scans[i]);
    }
    for (int i = 0; i < all->components_count; i++)
        if (all->components[i].low_bits[0] != 0) return NOT_FOR_US;
    return outcome;
}

/* A mean takes a bit at the least: 158 bytes that call themselves 200 megapixels cost neither time nor memory. */
static int may_hold_blocks(const decoder *all) {
    size_t blocks = 0;
    for (int i = 0; i < all->components_count; i++)
        blocks += (size_t)all->components[i].own_blocks_across * (size_t)all->components[i].own_blocks_down;
    return blocks / 8 <= (size_t)(all->end - all->body);
}

static int is_reduction(int number) { return number == 1 || number == 2 || number == 4 || number == 8; }

static enum outcome decode_all(decoder *all, const jpeg_request *asked) {
    scan scans[MOST_SCANS + 1];
    int count = 0;
    if (all->end - all->body < 4 || all->body[0] != 0xFF || all->body[1] != 0xD8) return NOT_FOR_US;
    enum outcome outcome = find_scans(all, all->body + 2, scans, &count);
    if (outcome != OK) return outcome;
    if (all->components_count == 3 && !is_ycbcr(all)) return NOT_FOR_US;
    if ((all->components_count == 1) != ((asked->flags & GREY) != 0) || !may_hold_blocks(all)) return NOT_FOR_US;
    for (int i = 0; i < all->components_count; i++) {
        component *part = &all->components[i];
        int quarter = all->most_across * all->most_down >= 4 * part->across * part->down;
        part->reduction = quarter ? asked->colour_reduction : asked->luma_reduction;
        if (all->progressive) continue;
        if (!all->dc[part->dc_table].defined || !all->ac[part->ac_table].defined) return NOT_FOR_US;
        build_pairs(&all->ac[part->ac_table]);
    }
    all->bits = owned(all, (size_t)(all->end - all->body) + PADDING + 16);
    if (!all->bits) return NO_MEMORY;
    if (all->progressive) {
        leave_out(scans, count, asked->flags);
        if ((outcome = read_progressive(all, scans, count)) != OK) return outcome;
        if ((outcome = prepare(all)) != OK) return outcome;
        take_coefficients(all);
    } else {
        if ((outcome = prepare(all)) != OK) return outcome;
        if ((outcome = read_sequential(all, scans)) != OK) return outcome;
    }
    if (all->components_count == 3) to_bgr(all, asked->pixels);
    else to_grey(all, asked->pixels);
    return OK;
}

static int is_within(int32_t side, int32_t most) { return side >= 1 && side <= most; }

int SHRINK(const jpeg_request *asked) {
    if (!is_within(asked->target_width, asked->width) || !is_within(asked->target_height, asked->height))
        return NOT_FOR_US;
    if (!is_reduction(asked->luma_reduction) || !is_reduction(asked->colour_reduction)) return NOT_FOR_US;
    void *made = NULL;
    if (posix_memalign(&made, 64, sizeof(decoder))) return NO_MEMORY;
    decoder *all = memset(made, 0, sizeof(decoder));
    all->body = asked->body, all->end = asked->body + asked->length;
    all->width = asked->width, all->height = asked->height;
    all->target_width = asked->target_width, all->target_height = asked->target_height;
    all->adobe_transform = -1;
    int outcome = (int)decode_all(all, asked);
    give_back(all);
    free(all);
    return outcome;
}
