-- Nothing: the log has an index on the time of arrival here, since one writer in one file is
-- far from the rates at which that would be felt.
select 1;
