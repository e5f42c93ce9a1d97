/* Rows of one component come in, lines of the result go out: the mean over the area of each pixel.

   Down first, over rows as they lie; then across, over LANES finished rows at once that lie column by column.
   Both are sums of products of 16 bits, of which the upper half is kept. */
#ifndef SHRINK_RESAMPLE_H
#define SHRINK_RESAMPLE_H

#include "products.h"
#include "types.h"

/* The mean is of more samples than rounding allows for. */
enum { MOST_TAPS = 256, CHUNK = 64 };

/* Weights of samples for ``lines`` lines of ``pixels`` pixels; a sample is ``subsampling * reduction`` pixels wide.

   Samples of half the resolution are taken for what they become elsewhere before they are averaged: pixels of
   3/4 the nearer and 1/4 the other neighbour. */
static enum outcome make_taps(decoder *all, taps *made, int pixels, int lines, int samples, int subsampling,
                              int reduction) {
    double step = (double)pixels / lines, unit = (double)subsampling * reduction;
    int most = (int)(step / unit) + 5, total = 0;
    int smooth = subsampling == 2 && reduction == 1;
    if (most > MOST_TAPS) return NOT_FOR_US;
    made->first = owned(all, sizeof(int32_t) * (size_t)lines);
    made->count = owned(all, sizeof(int32_t) * (size_t)lines);
    made->start = owned(all, sizeof(int32_t) * (size_t)lines);
    made->weights = owned(all, sizeof(uint16_t) * (size_t)lines * (size_t)most);
    if (!made->first || !made->count || !made->start || !made->weights) return NO_MEMORY;
    made->most = 0;
    for (int line = 0; line < lines; line++) {
        double from = line * step, to = line + 1 == lines ? pixels : (line + 1) * step;
        double weights[MOST_TAPS + 8] = {0};
        int base = (int)(from / unit) - 1;
        double grain = smooth ? 1 : unit;
        for (int at = (int)(from / grain); at * grain < to - 1e-9; at++) {
            double begin = at * grain > from ? at * grain : from, end = (at + 1) * grain < to ? (at + 1) * grain : to;
            if (end <= begin) continue;
            int near = smooth ? at >> 1 : at, other = smooth ? near + (at & 1 ? 1 : -1) : near;
            near = near < samples ? near : samples - 1;
            other = other < 0 ? 0 : other < samples ? other : samples - 1;
            weights[near - base] += (end - begin) * (smooth ? 0.75 : 1);
            if (smooth) weights[other - base] += (end - begin) * 0.25;
        }
        int first = 0, count = most;
        while (weights[first] == 0) first++;
        while (count > first && weights[count - 1] == 0) count--;
        count -= first;
        made->first[line] = base + first;
        made->count[line] = count;
        made->start[line] = total;
        /* Rounded so that all weights of a line come to 65536, but one alone to 65535. */
        double sum = 0;
        int before = 0;
        for (int i = 0; i < count; i++) {
            sum += weights[first + i];
            int until = (int)(sum / (to - from) * 65536 + 0.5), weight = until - before;
            made->weights[total++] = (uint16_t)(weight > 65535 ? 65535 : weight);
            before = until;
        }
        if (count > made->most) made->most = count;
    }
    return OK;
}

/* Row ``line`` of the result, not yet reduced across, to its lane. */
static void reduce_rows(component *part, int line, int lane) {
    const uint16_t *weights = part->rows.weights + part->rows.start[line];
    int first = part->rows.first[line], count = part->rows.count[line], mask = part->ring_rows - 1;
    /* Sums begin with what cutting off the lower halves loses. */
    words16 lost = (words16){0} + (uint16_t)(count / 2);
    for (int x = 0; x < part->stride; x += CHUNK) {
        words16 a = lost, b = lost, c = lost, d = lost;
        for (int k = 0; k < count; k++) {
            const uint16_t *row = part->ring + (size_t)((first + k) & mask) * part->stride + x;
            a += upper_products(sixteen(row), weights[k]);
            b += upper_products(sixteen(row + 16), weights[k]);
            c += upper_products(sixteen(row + 32), weights[k]);
            d += upper_products(sixteen(row + 48), weights[k]);
        }
        uint16_t sums[CHUNK], *column = part->lanes + (size_t)x * LANES + lane;
        memcpy(sums, &a, 32), memcpy(sums + 16, &b, 32), memcpy(sums + 32, &c, 32), memcpy(sums + 48, &d, 32);
        for (int i = 0; i < CHUNK; i++) column[i * LANES] = sums[i];
    }
}

/* ``count`` rows of the result from ``row`` on. */
static void reduce_columns(component *part, int row, int count, int width) {
    for (int line = 0; line < width; line++) {
        const uint16_t *weights = part->columns.weights + part->columns.start[line];
        const uint16_t *column = part->lanes + (size_t)part->columns.first[line] * LANES;
        int taken = part->columns.count[line];
        words16 sums = (words16){0} + (uint16_t)(taken / 2);
        for (int k = 0; k < taken; k++) sums += upper_products(sixteen(column + k * LANES), weights[k]);
        uint16_t values[LANES], *to = part->plane + (size_t)row * width + line;
        memcpy(values, &sums, sizeof values);
        for (int i = 0; i < count; i++) to[(size_t)i * width] = values[i];
    }
}

/* Takes what the first ``rows`` decoded rows allow. */
static void resample(const decoder *all, component *part, int rows) {
    while (part->row < all->target_height && part->rows.first[part->row] + part->rows.count[part->row] <= rows) {
        int lane = part->row % LANES;
        reduce_rows(part, part->row++, lane);
        if (lane == LANES - 1 || part->row == all->target_height)
            reduce_columns(part, part->row - lane - 1, lane + 1, all->target_width);
    }
}

#endif
