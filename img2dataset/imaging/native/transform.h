/* Coefficients of one block to the samples of it, or to the means of 2 x 2, 4 x 4 or all of them.

   The mean of two neighbours is as cheap in the coefficients as in the samples is dear: cosines of neighbours add
   up to a cosine of half the resolution, those above the middle fold back onto those below it, and what is left
   is a transform of half the size. The result is what decoding everything and averaging it would give, but for
   rounding; JPEG's usual reduced decode drops the upper coefficients instead.

   Whole blocks: Arai, Agui and Nakajima's transform (1988), its scales and the quantisation in ``multipliers``. */
#ifndef SHRINK_TRANSFORM_H
#define SHRINK_TRANSFORM_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "types.h"

typedef float floats8 __attribute__((vector_size(32)));
typedef float floats4 __attribute__((vector_size(16)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef int32_t ints4 __attribute__((vector_size(16)));
typedef int16_t shorts8 __attribute__((vector_size(16)));
typedef uint16_t words8 __attribute__((vector_size(16)));

#define LEVELS (255 << FRACTION_BITS)
#if defined(__clang__)
#define CHOSEN(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define CHOSEN(a, b, ...) __builtin_shuffle(a, b, (ints8){__VA_ARGS__})
#endif

static inline void transpose(floats8 r[8]) {
    floats8 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = CHOSEN(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        a[i + 1] = CHOSEN(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = i; j < i + 2; j++) {
            b[j] = CHOSEN(a[j], a[j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            b[j + 2] = CHOSEN(a[j], a[j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = CHOSEN(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        r[i + 4] = CHOSEN(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* One side of a whole block, eight lines at a time. */
static inline void inverse(floats8 x[8]) {
    floats8 sum = x[0] + x[4], difference = x[0] - x[4];
    floats8 inner = x[2] + x[6], outer = (x[2] - x[6]) * 1.414213562f - inner;
    floats8 even0 = sum + inner, even3 = sum - inner, even1 = difference + outer, even2 = difference - outer;
    floats8 a = x[5] + x[3], b = x[5] - x[3], c = x[1] + x[7], d = x[1] - x[7];
    floats8 turned = (b + d) * 1.847759065f;
    floats8 odd7 = c + a;
    floats8 odd6 = turned - b * 2.613125930f - odd7;
    floats8 odd5 = (c - a) * 1.414213562f - odd6;
    floats8 odd4 = turned - d * 1.082392200f - odd5;
    x[0] = even0 + odd7, x[7] = even0 - odd7;
    x[1] = even1 + odd6, x[6] = even1 - odd6;
    x[2] = even2 + odd5, x[5] = even2 - odd5;
    x[3] = even3 + odd4, x[4] = even3 - odd4;
}

/* Two rows of samples from 0 to LEVELS. */
#if defined(__AVX2__)
static inline void put_rows(uint16_t *first, uint16_t *second, floats8 a, floats8 b) {
    /* Hostile files have samples beyond the range of integers, which would become the least of them. */
    __m256 most = _mm256_set1_ps(LEVELS), first_values = _mm256_min_ps((__m256)a, most);
    __m256i packed = _mm256_packus_epi32(_mm256_cvtps_epi32(first_values),
                                         _mm256_cvtps_epi32(_mm256_min_ps((__m256)b, most)));
    packed = _mm256_permute4x64_epi64(packed, 0xD8);
    _mm_storeu_si128((__m128i *)first, _mm256_castsi256_si128(packed));
    _mm_storeu_si128((__m128i *)second, _mm256_extracti128_si256(packed, 1));
}
#else
static inline void put_row(uint16_t *row, floats8 values) {
    floats8 most = (floats8){0} + LEVELS;
    ints8 within = (values > 0) & (values < most), above = values >= most;
    floats8 bounded = (floats8)(((ints8)values & within) | ((ints8)most & above));
    /* To nearest, halves to even, as the other processors' instruction does: beyond 2^23 floats are whole. */
    ints8 levels = __builtin_convertvector((bounded + 12582912.0f) - 12582912.0f, ints8);
    words8 words = __builtin_convertvector(levels, words8);
    memcpy(row, &words, sizeof words);
}
static inline void put_rows(uint16_t *first, uint16_t *second, floats8 a, floats8 b) {
    put_row(first, a);
    put_row(second, b);
}
#endif

static inline uint16_t level(float value) {
    return (uint16_t)(value < 0 ? 0 : value > LEVELS ? LEVELS : value + 0.5f);
}

static inline floats8 lines_of(const component *part, const int16_t *block, int at) {
    shorts8 values;
    memcpy(&values, block + 8 * at, sizeof values);
    floats8 line = __builtin_convertvector(values, floats8);
    if (part->imprecise) {
        floats8 missing;
        memcpy(&missing, part->missing + 8 * at, sizeof missing);
        ints8 above = line > 0, below = line < 0;
        line += (floats8)((ints8)missing & above) - (floats8)((ints8)missing & below);
    }
    floats8 multipliers;
    memcpy(&multipliers, part->multipliers + 8 * at, sizeof multipliers);
    return line * multipliers;
}

static inline void whole_block(const component *part, const int16_t *block, uint16_t *to) {
    floats8 x[8];
    for (int i = 0; i < 8; i++) x[i] = lines_of(part, block, i);
    x[0][0] += 128 << FRACTION_BITS;
    inverse(x);
    transpose(x);
    inverse(x);
    for (int i = 0; i < 8; i += 2)
        put_rows(to + (size_t)i * part->stride, to + (size_t)(i + 1) * part->stride, x[i], x[i + 1]);
}

static inline void halves(floats8 x[8], floats8 out[4]) {
    const float near = 0.9238795325f, far = 0.3826834324f; /* cos(pi/8), cos(3 pi/8) */
    floats8 one = x[1] + x[7], two = x[2] + x[6], three = x[3] + x[5];
    floats8 even0 = x[0] + two, even1 = x[0] - two;
    floats8 odd0 = one * near + three * far, odd1 = one * far - three * near;
    out[0] = even0 + odd0, out[1] = even1 + odd1, out[2] = even1 - odd1, out[3] = even0 - odd0;
}

/* Four rows of four samples, in lanes 0-3. */
static inline void put_fours(const component *part, uint16_t *to, const floats8 x[4]) {
    uint16_t rows[16];
    put_rows(rows, rows + 8, CHOSEN(x[0], x[1], 0, 1, 2, 3, 8, 9, 10, 11),
             CHOSEN(x[2], x[3], 0, 1, 2, 3, 8, 9, 10, 11));
    for (int i = 0; i < 4; i++) memcpy(to + (size_t)i * part->stride, rows + 4 * i, 8);
}

static inline void half_block(const component *part, const int16_t *block, uint16_t *to) {
    floats8 x[8], means[8], nothing = {0};
    for (int i = 0; i < 8; i++) x[i] = lines_of(part, block, i);
    x[0][0] += 128 << FRACTION_BITS;
    halves(x, means);
    for (int i = 4; i < 8; i++) means[i] = nothing;
    transpose(means);
    halves(means, x);
    put_fours(part, to, x);
}

/* Two rows of two samples. Lanes 0 and 4: what the rows of the left and the right one have in common; the sum of
   the three lanes after each: what the upper one has more and the lower one less. */
static inline void put_quarters(const component *part, uint16_t *to, floats8 x) {
    floats8 upper = x + CHOSEN(x, x, 2, 3, 2, 3, 6, 7, 6, 7);
    upper += CHOSEN(upper, upper, 1, 1, 1, 1, 5, 5, 5, 5);
    floats8 lower = x * 2 - upper;
    floats8 all = CHOSEN(upper, lower, 0, 4, 8, 12, 0, 4, 8, 12);
    uint16_t rows[16];
    put_rows(rows, rows + 8, all, all);
    memcpy(to, rows, 4);
    memcpy(to + part->stride, rows + 2, 4);
}

static inline void quarter_block(const component *part, const int16_t *block, uint16_t *to) {
    floats8 even = lines_of(part, block, 0);
    floats8 odd = lines_of(part, block, 1) + lines_of(part, block, 3) + lines_of(part, block, 5) +
                  lines_of(part, block, 7);
    even[0] += 128 << FRACTION_BITS;
    floats8 left = even + odd, right = even - odd;
    put_quarters(part, to, CHOSEN(left, right, 0, 1, 2, 3, 8, 9, 10, 11) +
                               CHOSEN(left, right, 4, 5, 6, 7, 12, 13, 14, 15));
}

/* Two lines of a block of which the low coefficients are kept only, with the second in the upper lanes. */
static inline floats8 low_lines(const component *part, const int16_t *block, int at) {
    shorts8 values;
    floats8 missing, multipliers;
    memcpy(&values, block + 8 * at, sizeof values);
    memcpy(&missing, part->low_missing + 8 * at, sizeof missing);
    memcpy(&multipliers, part->low_multipliers + 8 * at, sizeof multipliers);
    floats8 line = __builtin_convertvector(values, floats8);
    ints8 above = line > 0, below = line < 0;
    line += (floats8)((ints8)missing & above) - (floats8)((ints8)missing & below);
    return line * multipliers;
}

static inline void low_half_block(const component *part, const int16_t *block, uint16_t *to) {
    floats8 first = low_lines(part, block, 0), second = low_lines(part, block, 1), nothing = {0};
    first[0] += 128 << FRACTION_BITS;
    floats8 x[8] = {first, CHOSEN(first, first, 4, 5, 6, 7, 4, 5, 6, 7), second,
                    CHOSEN(second, second, 4, 5, 6, 7, 4, 5, 6, 7), nothing, nothing, nothing, nothing};
    floats8 means[8];
    halves(x, means);
    /* Across: lanes 0-3 of four vectors, turned. */
    floats8 a = CHOSEN(means[0], means[1], 0, 8, 1, 9, 2, 10, 3, 11), b = CHOSEN(means[2], means[3], 0, 8, 1, 9, 2, 10, 3, 11);
    x[0] = CHOSEN(a, b, 0, 1, 8, 9, 0, 1, 8, 9), x[1] = CHOSEN(a, b, 2, 3, 10, 11, 2, 3, 10, 11);
    x[2] = CHOSEN(a, b, 4, 5, 12, 13, 4, 5, 12, 13), x[3] = CHOSEN(a, b, 6, 7, 14, 15, 6, 7, 14, 15);
    halves(x, means);
    put_fours(part, to, means);
}

static inline void low_quarter_block(const component *part, const int16_t *block, uint16_t *to) {
    floats8 first = low_lines(part, block, 0), second = low_lines(part, block, 1);
    first[0] += 128 << FRACTION_BITS;
    floats8 odd = CHOSEN(first, first, 4, 5, 6, 7, 4, 5, 6, 7) + CHOSEN(second, second, 4, 5, 6, 7, 4, 5, 6, 7);
    put_quarters(part, to, CHOSEN(first + odd, first - odd, 0, 1, 2, 3, 8, 9, 10, 11));
}

/* Writes the samples of one block, ``8 / reduction`` a side. ``flat``: it has no AC coefficients. */
static inline void transform(const component *part, const int16_t *block, int flat, uint16_t *to) {
    int side = 8 / part->reduction;
    if (flat || side == 1) {
        float mean = (float)block[0] * part->multipliers[0] + (128 << FRACTION_BITS);
        uint16_t value = level(mean);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) to[(size_t)y * part->stride + x] = value;
    } else if (part->kept == LOW_SIDE * LOW_SIDE) {
        if (side == 4) low_half_block(part, block, to);
        else low_quarter_block(part, block, to);
    } else if (side == 8) whole_block(part, block, to);
    else if (side == 4) half_block(part, block, to);
    else quarter_block(part, block, to);
}

#endif
