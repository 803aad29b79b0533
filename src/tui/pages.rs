//! A list that is longer than the console wants to hold: pages come and go around the cursor.

use std::collections::VecDeque;

use crate::control::messages as m;

/// Posts in a page.
pub(crate) const PAGE: u32 = 50;
/// Pages in memory at once: what is shown on the tallest screen, and some way up and down.
const KEPT: usize = 8;
/// More of them where they hold fewer rows than this: where a filter fits few, most are empty, and what was
/// found first stays.
const ENOUGH: usize = 200;

/// One line: a post bound for one account, or a draft.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) post: String,
    pub(crate) body: String,
    pub(crate) to: Vec<String>,
    pub(crate) created_at: jiff::Timestamp,
    pub(crate) media: usize,
    /// None for a draft.
    pub(crate) delivery: Option<m::Delivery>,
    /// What stands in its place since it ended: after a retry, a new time, or a cancel that was taken back.
    pub(crate) replaced_by: Option<Box<m::Delivery>>,
}

impl Row {
    /// What identifies it, over reloads.
    pub(crate) fn id(&self) -> &str {
        self.delivery.as_ref().map_or(&self.post, |it| &it.id)
    }
}

/// The rows of posts, in their order.
pub(crate) fn rows_of(posts: &[m::Post]) -> Vec<Row> {
    posts.iter().flat_map(rows_of_post).collect()
}

/// One row per delivery; one for a draft.
pub(crate) fn rows_of_post(post: &m::Post) -> Vec<Row> {
    let row = |delivery: Option<&m::Delivery>| Row {
        post: post.id.clone(),
        body: post.body.clone(),
        to: post.to.clone(),
        created_at: post.created_at,
        media: post.media.len(),
        delivery: delivery.cloned(),
        replaced_by: delivery.and_then(|it| replaced_by(&post.deliveries, it)),
    };
    if post.deliveries.is_empty() {
        return vec![row(None)];
    }
    post.deliveries.iter().map(|it| row(Some(it))).collect()
}

/// The delivery that was made for the same account after one that ended. Ids grow as they are made.
pub(crate) fn replaced_by(all: &[m::Delivery], it: &m::Delivery) -> Option<Box<m::Delivery>> {
    use m::DeliveryState as D;
    if !matches!(it.state, D::Cancelled | D::Missed | D::Rejected) {
        return None;
    }
    let later =
        all.iter().filter(|other| other.post == it.post && other.account == it.account && other.id > it.id);
    later.min_by(|a, b| a.id.cmp(&b.id)).cloned().map(Box::new)
}

#[derive(Debug, Clone)]
struct Page {
    index: usize,
    rows: Vec<Row>,
}

/// A window on a list of the daemon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    /// Where each page that was seen begins: the daemon's cursor; none for the first.
    starts: Vec<Option<String>>,
    /// Neighbours, by index.
    kept: VecDeque<Page>,
    /// The list ends with the last page seen.
    pub(crate) ended: bool,
    /// The row under the cursor, counted over what is kept.
    pub(crate) at: usize,
    /// The row that is drawn first.
    pub(crate) top: usize,
    /// Rows that the cursor is still to move, into pages that are not here yet.
    pub(crate) wish: isize,
}

impl Pages {
    pub(crate) fn new() -> Self {
        Self { starts: vec![None], ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.iter().map(|it| it.rows.len()).sum()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.kept.iter().flat_map(|it| &it.rows)
    }

    pub(crate) fn here(&self) -> Option<&Row> {
        self.rows().nth(self.at)
    }

    /// Whether rows above the first one kept exist.
    pub(crate) fn has_before(&self) -> bool {
        self.kept.front().is_some_and(|it| it.index > 0)
    }

    /// Whether there are rows below the last one kept.
    pub(crate) fn has_behind(&self) -> bool {
        match self.kept.back() {
            Some(last) => last.index + 1 < self.starts.len(),
            None => !self.ended,
        }
    }

    /// The daemon's cursor for a page, which is none for the first; `Err`: it was not seen yet.
    pub(crate) fn start(&self, index: usize) -> Result<Option<String>, ()> {
        self.starts.get(index).cloned().ok_or(())
    }

    /// The page under the cursor, and the one that should be read because the cursor comes near it.
    pub(crate) fn page_here(&self) -> usize {
        let mut before = 0;
        for page in &self.kept {
            before += page.rows.len();
            if self.at < before {
                return page.index;
            }
        }
        self.kept.back().map_or(0, |it| it.index)
    }

    /// The page to read next so that the cursor does not run into an edge; `near` rows ahead.
    pub(crate) fn wanted(&self, near: usize) -> Option<usize> {
        let Some((first, last)) = self.kept.front().zip(self.kept.back()) else {
            return (!self.ended).then_some(0);
        };
        if self.has_behind() && self.at + near >= self.len() {
            return Some(last.index + 1);
        }
        (first.index > 0 && self.at < near).then(|| first.index - 1)
    }

    /// Takes a page in; the cursor stays on its row.
    pub(crate) fn take(&mut self, index: usize, posts: &[m::Post], next: Option<String>) {
        let here = self.here().map(|it| it.id().to_owned());
        let offset = self.at.saturating_sub(self.top);
        let rows = rows_of(posts);
        // Where the next page begins, as far as it was known. If that moved, what lies behind moved too
        // and is read anew.
        if self.starts.get(index + 1) != Some(&next) || next.is_none() {
            self.starts.truncate(index + 1);
            self.kept.retain(|it| it.index <= index);
            self.ended = next.is_none();
            if next.is_some() {
                self.starts.push(next);
            }
        }
        if let Some(page) = self.kept.iter_mut().find(|it| it.index == index) {
            page.rows = rows;
        } else if self.kept.front().is_some_and(|it| it.index == index + 1) {
            self.kept.push_front(Page { index, rows });
        } else if self.kept.back().is_none_or(|it| it.index + 1 == index) {
            self.kept.push_back(Page { index, rows });
        } else {
            // From elsewhere: begin anew there.
            self.kept = VecDeque::from([Page { index, rows }]);
            self.at = 0;
        }
        if let Some(at) = here.and_then(|id| self.rows().position(|it| it.id() == id)) {
            self.at = at;
        }
        self.top = self.at.saturating_sub(offset);
        self.drop_far(index);
        self.at = self.at.min(self.len().saturating_sub(1));
        self.top = self.top.min(self.at);
        let wish = std::mem::take(&mut self.wish);
        if wish != 0 {
            self.go(wish);
        }
    }

    /// Lets go of pages at the end that is farther from what was just read.
    fn drop_far(&mut self, index: usize) {
        while self.kept.len() > KEPT {
            let (Some(first), Some(last)) = (self.kept.front(), self.kept.back()) else { return };
            let from_front = index - first.index > last.index - index;
            let gone = if from_front { first } else { last }.rows.len();
            if self.len() - gone < ENOUGH {
                return;
            }
            if from_front {
                self.kept.pop_front();
                self.at = self.at.saturating_sub(gone);
                self.top = self.top.saturating_sub(gone);
            } else {
                self.kept.pop_back();
            }
        }
    }

    /// Puts fresh rows in the place of a post's old ones, where they are shown.
    pub(crate) fn refresh(&mut self, post: &m::Post) {
        let fresh = rows_of_post(post);
        for page in &mut self.kept {
            for row in page.rows.iter_mut().filter(|it| it.post == post.id) {
                if let Some(new) = fresh.iter().find(|it| it.id() == row.id()) {
                    *row = new.clone();
                }
            }
        }
    }

    /// Moves the cursor by some rows, or as far as there are any; what is left of the way is gone when the
    /// next page is here.
    pub(crate) fn go(&mut self, by: isize) {
        let last = self.len().saturating_sub(1);
        let to = self.at.saturating_add_signed(by);
        self.wish = 0;
        if by > 0 && to > last && self.has_behind() {
            self.wish = by - last.saturating_sub(self.at).cast_signed();
        } else if by < 0 && self.at.checked_add_signed(by).is_none() && self.has_before() {
            self.wish = by + self.at.cast_signed();
        }
        self.at = to.min(last);
    }

    /// Scrolls so that the cursor is seen, in a window of `height` rows.
    pub(crate) fn scroll(&mut self, height: usize) {
        scroll(self.at, &mut self.top, height);
    }
}

/// Moves `top` as little as it takes for row `at` to be within `height` rows.
pub(crate) fn scroll(at: usize, top: &mut usize, height: usize) {
    if at < *top {
        *top = at;
    } else if at >= *top + height.max(1) {
        *top = at + 1 - height.max(1);
    }
}
