# Public summary of training content: crawled images

Article 53(1)(d) of Regulation (EU) 2024/1689 (AI Act), after the template of the AI Office of July 2025.
Drafted by img2dataset on 2026-11-29 from the dataset `o3`.
What it cannot know is marked; what it says is of this dataset alone.

## 1. General information

### 1.1. Provider identification

*To be filled in by the provider.*

### 1.2. Model identification

*To be filled in by the provider.*

### 1.3. Modalities, overall training data size and other characteristics

| modality | size | types of content |
| --- | --- | --- |
| image | less than 1 million images (5; 0.00 GB as they are stored) | *To be filled in by the provider.* |
| text | 5 captions of these images | *To be filled in by the provider.* |

- Latest date of data acquisition: 11/2026
- Linguistic characteristics: scripts of the captions: Latin 100.0%; languages: *To be filled in by the provider.*
- Other characteristics: *To be filled in by the provider.*

## 2. List of data sources

### 2.1. Publicly available datasets

*To be filled in by the provider.*
Name the list of URLs here if it is a published dataset.

### 2.2. Private non-publicly available datasets obtained from third parties

*To be filled in by the provider.*

### 2.3. Data crawled and scraped from online sources

- Crawlers were used by the provider or on its behalf: yes
- Crawler names or identifiers:
  - `img2dataset/2.0.0 (+https://github.com/rom1504/img2dataset)`
- Purposes of the crawlers: to download the images of a list of URLs into a dataset; its use: *To be filled in by the provider.*
- Behaviour of the crawlers: no links are followed but redirects; no captcha is solved, no payment is made; connections to one host are bounded unless that is turned off, and 429 and Retry-After are kept. Signals that are honoured: section 3.1.
- Period of data collection: 11/2026 to 11/2026
- Type of content and online sources: images of 1 domain name; *To be filled in by the provider.*
- Modalities: image, text (captions)

#### Most relevant domain names crawled

The top 10 % of 1 domain name by the size of their content, which is the pixels of their images as they were downloaded. Host names stand for domain names, without a leading `www.`.

| domain name | images | megapixels |
| --- | ---: | ---: |
| 127.0.0.1 | 5 | 0.0 |

### 2.4. User data

*To be filled in by the provider.*

### 2.5. Synthetic data

*To be filled in by the provider.*

### 2.6. Other sources of data

*To be filled in by the provider.*

## 3. Data processing aspects

### 3.1. Respect of reservation of rights from text and data mining exception or limitation

- Signatory of the code of practice: *To be filled in by the provider.*
- Measures during the collection:
  - `img2dataset/2.0.0 (+https://github.com/rom1504/img2dataset)` honoured the headers X-Robots-Tag, Content-Usage of answers; no files of sites
- Images left out for a reservation: 1
  - opt-out: X-Robots-Tag: 1
- Images left out since their site asks to be paid (status 402): 0
- Signals that were seen, by rows:
  - x-robots-tag, says no, honoured: 1
- Measures before and after the collection: *To be filled in by the provider.*

### 3.2. Removal of illegal content

*To be filled in by the provider.*

### 3.3. Other information (optional)

*To be filled in by the provider.*
